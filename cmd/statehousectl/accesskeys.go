package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client/admin"
	"statehouse.dev/statehouse/client/moment"
	"statehouse.dev/statehouse/cmd/show"
)

const keyHelp = `key makes, lists and ends the keys with which clients are let in. A key has a name, which
commits and the audit log show, and grants: what it may do, and in which namespaces.

  statehousectl key create --name billing --grant write:prod-billing --grant read:prod-*
  statehousectl key create --name ops --grant 'admin:*' --expires 90d --out ops.key

A client gives the secret as its token (STATEHOUSE_TOKEN). It is shown once: the daemon
keeps only its hash. Whoever makes keys must be allowed admin on all namespaces, or have
the shared token. The first key of a daemon without a token is made while it does not run,
with statehoused key create.`

func (a *app) keyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Make, list, rotate and revoke the keys of clients", Long: keyHelp}
	cmd.AddCommand(a.keyCreateCommand(), a.keyListCommand(), a.keyRotateCommand(), a.keyRevokeCommand())
	return cmd
}

// madeKey is a key with its secret, as JSON.
type madeKey struct {
	admin.Key
	Secret string `json:"secret,omitempty"`
	File   string `json:"secret_file,omitempty"`
}

// secretFile is where a secret goes, made before the key is: a key whose secret is lost is of no use.
type secretFile struct {
	path string
	f    *os.File // nil: the output
}

func openSecretFile(path string) (*secretFile, error) {
	if path == "" {
		return &secretFile{}, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	return &secretFile{path, f}, err
}

// abandon takes the file away that got no secret.
func (o *secretFile) abandon() {
	if o.f != nil {
		_ = errors.Join(o.f.Close(), os.Remove(o.path))
	}
}

// write puts the secret into the file and shows the key.
func (s *session) showSecret(k *admin.Key, secret string, o *secretFile) error {
	if o.f != nil && secret != "" {
		_, err := o.f.WriteString(secret + "\n")
		if err = errors.Join(err, o.f.Sync(), o.f.Close()); err != nil {
			return fmt.Errorf("the key %s was made, and its secret cannot be written (rotate it for another): %w", k.ID, err)
		}
		secret = ""
	} else if o.f != nil {
		o.abandon()
	}
	if s.asJSON {
		return s.p.object(madeKey{*k, secret, o.path})
	}
	err := s.p.line("key         %s, %s", k.ID, quote(k.Name))
	for i, scope := range k.Scopes {
		what := "grants      "
		if i > 0 {
			what = "            "
		}
		err = errors.Join(err, s.p.line("%s%s", what, quote(scope.String())))
	}
	if !k.Expires.IsZero() {
		err = errors.Join(err, s.p.line("expires     %s", k.Expires.Format(time.RFC3339)))
	}
	switch {
	case k.Certificate:
		err = errors.Join(err, s.p.line("secret      none: a client certificate of that subject shows it"))
	case o.f != nil:
		err = errors.Join(err, s.p.line("secret      in %s, and nowhere else", quote(o.path)))
	default:
		err = errors.Join(err, s.p.line("secret      %s", secret), s.p.line("            it is not shown again: the daemon keeps only its hash"))
	}
	return err
}

func (a *app) keyCreateCommand() *cobra.Command {
	var k admin.Key
	var grants []string
	var expires, out string
	cmd := &cobra.Command{
		Use: "create --name NAME --grant PERMISSION:NAMESPACE…", Short: "Make a key and show its secret, once", Args: show.Takes(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
		Example: "  statehousectl key create --name billing --grant write:prod-billing --grant 'read:prod-*' --expires 90d",
	}
	f := cmd.Flags()
	f.StringVar(&k.Name, "name", "", "who has the key: shown with commits")
	f.StringArrayVar(&grants, "grant", nil, "read, write or admin, a colon, and a namespace or the beginning of some and *; repeated for more")
	f.StringVar(&expires, "expires", "", "when it ends: in 90d, 12h, or at a time (2027-01-31T00:00:00Z); never when not given")
	f.StringVar(&out, "out", "", "write the secret to this new file, for its owner's eyes only, and do not show it")
	f.Float64Var(&k.RequestsPerSecond, "rate", 0, "most requests a second; 0: no limit of its own")
	f.BoolVar(&k.Certificate, "certificate", false, "no secret: the key of whoever connects with a client certificate whose subject (or first URI) is the name")
	for _, name := range []string{"name", "grant"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flags are above
		}
	}
	cmd.RunE = a.connected(func(ctx context.Context, s *session, _ []string) error {
		for _, g := range grants {
			scope, err := admin.ParseScope(g)
			if err != nil {
				return usageError{err}
			}
			k.Scopes = append(k.Scopes, scope)
		}
		var err error
		if k.Expires, err = parseExpiry(expires, s.now()); err != nil {
			return usageError{err}
		}
		o, err := openSecretFile(out)
		if err != nil {
			return fmt.Errorf("the secret cannot be written: %w", err)
		}
		made, secret, err := admin.New(s.Client).CreateKey(ctx, k)
		if err != nil {
			o.abandon()
			return err
		}
		return s.showSecret(&made, secret, o)
	})
	return cmd
}

// parseExpiry reads when something is to end: after a while, or at a time; empty: never.
func parseExpiry(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := moment.ParseDuration(s); err == nil {
		return now.Add(d), nil
	}
	return moment.Parse(s, now)
}

func (a *app) keyListCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List the keys", Args: show.Takes(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&all, "all", false, "those that were revoked or have expired, too")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, _ []string) error {
		keys, err := admin.New(s.Client).Keys(ctx, all)
		if err != nil {
			return err
		}
		s.p.list("ID", "NAME", "GRANTS", "STATE")
		for i := range keys {
			if err := s.printKey(&keys[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

func (s *session) printKey(k *admin.Key) error {
	if s.asJSON {
		return s.p.object(k)
	}
	grants := make([]string, len(k.Scopes))
	for i, scope := range k.Scopes {
		grants[i] = quote(scope.String())
	}
	var state string
	switch now := s.now(); {
	case !k.Revoked.IsZero():
		state = "revoked " + k.Revoked.Format(time.RFC3339)
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		state = "expired " + k.Expires.Format(time.RFC3339)
	case !k.Expires.IsZero():
		state = "expires " + k.Expires.Format(time.RFC3339)
	default:
		state = "no end"
	}
	if k.Secrets > 1 && k.Revoked.IsZero() {
		state += ", two secrets until " + k.OldSecretExpires.Format(time.RFC3339)
	}
	if k.Certificate {
		state += ", by certificate"
	}
	return s.p.row(nil, k.ID, quote(k.Name), strings.Join(grants, ", "), state)
}

func (a *app) keyRotateCommand() *cobra.Command {
	var overlap, out string
	cmd := &cobra.Command{
		Use: "rotate KEY", Short: "Give a key, by its id or name, another secret", Args: show.Takes(1, 1), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "rotate gives a key another secret and shows it, once. The secret before it goes on working for\n--overlap, so that clients can be given the new one; of two older ones, the oldest ends at once.",
	}
	f := cmd.Flags()
	f.StringVar(&overlap, "overlap", "1d", "how long the secret before it goes on working; 0s: not at all")
	f.StringVar(&out, "out", "", "write the secret to this new file, for its owner's eyes only, and do not show it")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		d, err := moment.ParseDuration(overlap)
		if err != nil {
			return usagef("--overlap %q is not a duration, such as 12h or 7d", overlap)
		}
		o, err := openSecretFile(out)
		if err != nil {
			return fmt.Errorf("the secret cannot be written: %w", err)
		}
		k, secret, err := admin.New(s.Client).RotateKey(ctx, args[0], &d)
		if err != nil {
			o.abandon()
			return err
		}
		return s.showSecret(&k, secret, o)
	})
	return cmd
}

func (a *app) keyRevokeCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "revoke KEY", Short: "End a key, by its id or name, at once", Args: show.Takes(1, 1), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "revoke ends a key. From when it is answered nothing more is committed with it, and streams and\nsessions that it opened end within a second.",
	}
	cmd.Flags().BoolVar(&force, "force", false, "also the last key that may administer; after that keys are made with statehoused key create only")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		k, err := admin.New(s.Client).RevokeKey(ctx, args[0], force)
		if err != nil {
			return err
		}
		return s.printKey(&k)
	})
	return cmd
}

const auditHelp = `audit shows what operators did and who was refused, oldest first. Each entry has a hash over
itself and the entry before: statehoused verify checks the chain, and whoever keeps a hash
elsewhere can tell later that nothing before it was changed. The log is bounded: of the
oldest entries only the last hash is kept.`

func (a *app) auditCommand() *cobra.Command {
	var after uint64
	ls := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List the entries of the audit log", Long: auditHelp, Args: show.Takes(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
	}
	ls.Flags().Uint64Var(&after, "after", 0, "only entries after this number")
	ls.RunE = a.connected(func(ctx context.Context, s *session, _ []string) error {
		s.p.list("NUMBER", "TIME", "PRINCIPAL", "ACT", "OUTCOME", "DETAILS")
		return admin.New(s.Client).Audit(ctx, after, s.printEntry)
	})
	cmd := &cobra.Command{Use: "audit", Short: "Show what operators did, and who was refused", Long: auditHelp}
	cmd.AddCommand(ls)
	return cmd
}

func (s *session) printEntry(e admin.AuditEntry) error {
	if s.asJSON {
		return s.p.object(e)
	}
	what := "done"
	if e.Refused != "" {
		what = fmt.Sprintf("refused %s: %s", show.Count(max(e.Count, 1), "time"), e.Refused)
	}
	details := "-"
	if len(e.Details) > 0 {
		text, err := s.p.encode(e.Details)
		if err != nil {
			return err
		}
		details = string(text)
	}
	return s.p.row(nil, fmt.Sprint(e.Number), e.Time.Format(time.RFC3339), quote(e.Principal), quote(e.Action), printable(what), printable(details))
}
