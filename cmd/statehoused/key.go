package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server/access"
)

const keyHelp = `key makes, lists and revokes access keys in a data directory that no daemon has open: the first
key of a store, or when the last that may administer is lost. Everything else is done
over the wire: statehousectl key.

  statehoused key create --data-dir data --name ops --grant 'admin:*' --out ops.key`

// keyCommand is for who owns the directory, and needs no key for that.
func keyCommand(s *signals) *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Make, list and revoke access keys while no daemon runs", Long: keyHelp}
	var dir string
	cmd.PersistentFlags().StringVar(&dir, "data-dir", "data", "directory of the store")
	do := func(f func(ctx context.Context, out io.Writer, c *access.Control, args []string) error) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, args []string) error {
			s.release() // there is nothing to reload or dump
			return withKeys(cmd.Context(), dir, cmd.ErrOrStderr(), func(ctx context.Context, c *access.Control) error {
				return f(ctx, cmd.OutOrStdout(), c, args)
			})
		}
	}
	cmd.AddCommand(keyCreateCommand(do), keyListCommand(do), keyRevokeCommand(do))
	return cmd
}

type keyWork func(func(ctx context.Context, out io.Writer, c *access.Control, args []string) error) func(*cobra.Command, []string) error

// withKeys opens the store in dir as a daemon does, for as long as f takes.
func withKeys(ctx context.Context, dir string, told io.Writer, f func(context.Context, *access.Control) error) error {
	var halted error
	env, closeEnv := engine.OSEnv(func(err error) { halted = err; fmt.Fprintln(told, "statehoused:", err); os.Exit(exitStorage) }, func(event string, attrs ...any) {
		fmt.Fprintln(told, append([]any{"statehoused:", event}, attrs...)...)
	})
	defer closeEnv()
	e, err := engine.Open(env, engine.Options{Dir: dir})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); e.Run(running) }()
	control := access.New(&env, "")
	if err = control.Load(e); err == nil {
		err = f(access.WithCaller(ctx, access.Local()), control)
	}
	stop()
	<-ended
	return errors.Join(err, e.Close(), halted)
}

func keyCreateCommand(do keyWork) *cobra.Command {
	var name, expires, out string
	var grants []string
	var certificate bool
	cmd := &cobra.Command{Use: "create --name NAME --grant PERMISSION:NAMESPACE…", Short: "Make a key and show its secret, once", Args: usage(show.Takes(0, 0))}
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "who has the key: shown with commits")
	f.StringArrayVar(&grants, "grant", nil, "read, write or admin, a colon, and a namespace or the beginning of some and *; repeated for more")
	f.StringVar(&expires, "expires", "", "when it ends: in 90d, 12h, or at a time (2027-01-31T00:00:00Z); never when not given")
	f.StringVar(&out, "out", "", "write the secret to this new file, for its owner's eyes only, and do not show it")
	f.BoolVar(&certificate, "certificate", false, "no secret: the key of whoever connects with a client certificate whose subject (or first URI) is the name")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if name == "" || len(grants) == 0 {
			return usageError{errors.New("a key has a --name and at least one --grant, such as --grant 'admin:*'")}
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		k := access.Key{Name: name, Certificate: certificate}
		for _, g := range grants {
			scope, err := access.ParseScope(g)
			if err != nil {
				return usageError{err}
			}
			k.Scopes = append(k.Scopes, scope)
		}
		var err error
		if k.Expires, err = keyExpiry(expires, time.Now()); err != nil {
			return usageError{err}
		}
		file := cmd.OutOrStdout()
		if out != "" {
			f, err := os.OpenFile(out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err != nil {
				return fmt.Errorf("the secret cannot be written: %w", err)
			}
			defer f.Close()
			file = f
		}
		err = do(func(ctx context.Context, _ io.Writer, c *access.Control, _ []string) error {
			made, secret, err := c.Create(ctx, k)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "made the key %s of %s: %s\n", made.ID, show.Quote(made.Name), access.Grant(made.Scopes))
			if secret != "" {
				_, err = fmt.Fprintln(file, secret)
			}
			return err
		})(cmd, args)
		if err != nil && out != "" {
			_ = os.Remove(out)
		}
		return err
	}
	return cmd
}

func keyExpiry(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if d, err := time.ParseDuration(days + "h"); err == nil {
			return now.Add(24 * d), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		err = fmt.Errorf("--expires %q is neither a duration, such as 90d or 12h, nor a time, such as 2027-01-31T00:00:00Z", s)
	}
	return t, err
}

func keyListCommand(do keyWork) *cobra.Command {
	var all bool
	cmd := &cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List the keys", Args: usage(show.Takes(0, 0))}
	cmd.Flags().BoolVar(&all, "all", false, "those that were revoked or have expired, too")
	cmd.RunE = do(func(_ context.Context, out io.Writer, c *access.Control, _ []string) error {
		for _, k := range c.Keys(all) {
			state := "no end"
			switch {
			case !k.Revoked.IsZero():
				state = "revoked " + k.Revoked.Format(time.RFC3339)
			case !k.Expires.IsZero():
				state = "expires " + k.Expires.Format(time.RFC3339)
			}
			if _, err := fmt.Fprintf(out, "%s  %s  %s  %s\n", k.ID, show.Quote(k.Name), grants(k.Scopes), state); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

// grants is what a key may do, as one cell of a table.
func grants(scopes []access.Scope) string {
	quoted := make([]string, len(scopes))
	for i, s := range scopes {
		quoted[i] = show.Quote(s.String())
	}
	return strings.Join(quoted, ", ")
}

func keyRevokeCommand(do keyWork) *cobra.Command {
	var force bool
	cmd := &cobra.Command{Use: "revoke KEY", Short: "End a key, by its id or name", Args: usage(show.Takes(1, 1))}
	cmd.Flags().BoolVar(&force, "force", false, "also the last key that may administer")
	cmd.RunE = do(func(ctx context.Context, out io.Writer, c *access.Control, args []string) error {
		k, err := c.Revoke(ctx, args[0], force)
		if err == nil {
			_, err = fmt.Fprintf(out, "%s  %s  revoked %s\n", k.ID, show.Quote(k.Name), k.Revoked.Format(time.RFC3339))
		}
		return err
	})
	return cmd
}
