package access_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server/access"
)

// rig is a store in memory, with a clock that the test moves.
type rig struct {
	*access.Control
	t     *testing.T
	store *engine.Engine
	env   engine.Env
	now   time.Time
}

func newRig(t *testing.T, token string) *rig {
	t.Helper()
	r := &rig{t: t, now: time.Unix(1_800_000_000, 0).UTC()}
	r.env = engine.MemoryEnv(func(err error) { t.Error(err) }, func(string, ...any) {})
	r.env.Now = func() time.Time { return r.now }
	r.env.Await = func(_ context.Context, ready <-chan struct{}) error {
		for {
			select {
			case <-ready:
				return nil
			default:
				r.store.Step()
			}
		}
	}
	store, err := engine.Open(r.env, engine.Options{Dir: "/data"})
	if err != nil {
		t.Fatal(err)
	}
	r.store = store
	r.Control = access.New(&r.env, token)
	if err := r.Load(store); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		store.Step()
		if err := access.Verify(store); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) local() context.Context {
	return access.WithCaller(context.Background(), access.Local())
}

func (r *rig) create(k access.Key) (*access.Key, string) {
	r.t.Helper()
	made, secret, err := r.Create(r.local(), k)
	if err != nil {
		r.t.Fatal(err)
	}
	return made, secret
}

func (r *rig) identify(secret string) (*access.Caller, error) {
	return r.Identify(access.Shown{Authorization: []string{"Bearer " + secret}})
}

func scopes(t *testing.T, grants ...string) (list []access.Scope) {
	t.Helper()
	for _, g := range grants {
		s, err := access.ParseScope(g)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

func TestScopes(t *testing.T) {
	for _, c := range []struct {
		grants  string
		p       access.Permission
		ns      string
		allowed bool
	}{
		{"read:prod", access.Read, "prod", true},
		{"read:prod", access.Read, "prod-eu", false},
		{"read:prod", access.Read, "pro", false},
		{"read:prod-*", access.Read, "prod-eu", true},
		{"read:prod-*", access.Read, "prod-", true},
		{"read:prod-*", access.Read, "prod", false},
		{"read:prod-*", access.Write, "prod-eu", false},
		{"write:prod-*", access.Read, "prod-eu", true},
		{"admin:x", access.Write, "x", true},
		{"admin:x", access.Admin, "y", false},
		{"read:* admin:x", access.Read, "y", true},
		{"read:* admin:x", access.Write, "y", false},
		{"read:* admin:x", access.Write, "x", true},
	} {
		g := access.Grant(scopes(t, strings.Fields(c.grants)...))
		if got := g.Allows(c.p, c.ns); got != c.allowed {
			t.Errorf("%s allows %v on %s: %v", g, c.p, c.ns, got)
		}
	}
	if !access.Grant(nil).AllowsAll(access.Admin) || access.Grant(scopes(t, "read:*")).AllowsAll(access.Write) || access.Grant(scopes(t, "admin:a*")).AllowsAll(access.Admin) ||
		!access.Grant(scopes(t, "admin:*")).AllowsAll(access.Read) || (access.Grant{}).Allows(access.Read, "x") {
		t.Error("what is allowed on all namespaces")
	}
	for _, bad := range []string{"", "read", "read:", "sudo:x", ":x", "none:x", "read:" + strings.Repeat("x", 129), "read:a\nb", "Read:x"} {
		if s, err := access.ParseScope(bad); err == nil {
			t.Errorf("%q is taken for %v", bad, s)
		}
	}
	for _, good := range []string{"read:x", "write:prod-*", "admin:*", "read:a:b"} {
		if s, err := access.ParseScope(good); err != nil || s.String() != good {
			t.Errorf("%q: %v, %v", good, s, err)
		}
	}
}

// Who shows what is who, and what is good for nothing is said to be wrong, not missing.
func TestIdentify(t *testing.T) {
	r := newRig(t, "")
	subject := access.Shown{Subject: "spiffe://x/a", SubjectUntil: r.now.Add(time.Hour)}
	if c, err := r.Identify(access.Shown{}); err != nil || c.Name != "" {
		t.Errorf("open access: %v, %v", c, err)
	}
	if c, err := r.Identify(subject); err != nil || c.Name != "spiffe://x/a" {
		t.Errorf("a certificate where access is open: %v, %v", c, err)
	}
	anybody, _ := r.Identify(access.Shown{})
	key, secret := r.create(access.Key{Name: "ann", Scopes: scopes(t, "write:x")})
	if key.CreatedBy != "local" || !strings.HasPrefix(secret, "shk_"+key.ID+"_") {
		t.Errorf("made %v with %q", key, secret)
	}
	if _, err := r.Valid(anybody); !errors.Is(err, access.ErrUnauthenticated) {
		t.Errorf("a stream of before the first key: %v", err)
	}
	c, err := r.identify(secret)
	if err != nil || c.Name != "ann" {
		t.Fatalf("the secret: %v, %v", c, err)
	}
	if g, err := r.Valid(c); err != nil || !g.Allows(access.Write, "x") || g.Allows(access.Read, "y") {
		t.Errorf("what ann may: %v, %v", g, err)
	}
	for what, shown := range map[string]access.Shown{ // in any order
		"no key":        {},
		"the key's":     {Authorization: []string{"Bearer shk_" + key.ID + "_" + strings.Repeat("a", 52)}},
		"not one of":    {Authorization: []string{"Bearer shk_aaaaaaaaaaaa_" + strings.Repeat("a", 52)}},
		"not the one":   {Authorization: []string{"Bearer x"}},
		"no key for":    subject,
		"daemon wants":  {Authorization: []string{"Basic " + secret}},
		"shk_ID_SECRET": {Authorization: []string{"bearer " + secret}},
	} {
		if c, err := r.Identify(shown); !errors.Is(err, access.ErrUnauthenticated) {
			t.Errorf("%s: %v, %v", what, c, err)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the refusal gives the secret away", what)
		}
	}
	// A certificate's key has no secret, and is no one's but the certificate's.
	r.create(access.Key{Name: "spiffe://x/a", Scopes: scopes(t, "read:x"), Certificate: true})
	c, err = r.Identify(subject)
	if err != nil {
		t.Fatal(err)
	}
	if g, err := r.Valid(c); err != nil || !g.Allows(access.Read, "x") || g.Allows(access.Write, "x") {
		t.Errorf("what the certificate may: %v, %v", g, err)
	}
	if _, err := r.Identify(access.Shown{Subject: "ann", SubjectUntil: r.now.Add(time.Hour)}); !errors.Is(err, access.ErrUnauthenticated) {
		t.Errorf("a certificate with the name of a key that has a secret: %v", err)
	}
	r.now = r.now.Add(time.Hour)
	if _, err := r.Valid(c); !errors.Is(err, access.ErrUnauthenticated) {
		t.Errorf("a certificate that has expired: %v", err)
	}
}

// Keys and the log survive: another Control on the store knows them.
func TestKeysAreKept(t *testing.T) {
	r := newRig(t, "")
	key, secret := r.create(access.Key{Name: "ann", Scopes: scopes(t, "write:x"), Rate: 5, Expires: r.now.Add(time.Hour)})
	gone, _ := r.create(access.Key{Name: "bob", Scopes: scopes(t, "admin:*")})
	if _, err := r.Revoke(r.local(), "bob", true); err != nil {
		t.Fatal(err)
	}
	other := access.New(&r.env, "")
	if err := other.Load(r.store); err != nil {
		t.Fatal(err)
	}
	c, err := other.Identify(access.Shown{Authorization: []string{"Bearer " + secret}})
	if err != nil || other.Rate(c) != 5 {
		t.Errorf("after a restart: %v", err)
	}
	if live, all := other.Keys(false), other.Keys(true); len(live) != 1 || len(all) != 2 || live[0].ID != key.ID || all[1].ID != gone.ID || all[1].Revoked.IsZero() {
		t.Errorf("keys: %v of %v", live, all)
	}
	for _, row := range []string{"audit", "key", "audit-end"} {
		rows, err := r.store.SystemRows(row, "", 0)
		if err != nil || len(rows) == 0 {
			t.Errorf("rows %s: %v", row, err)
		}
		for _, x := range rows {
			if strings.Contains(string(x.Body), secret[17:]) {
				t.Errorf("the secret stands in %s %s", row, x.Name)
			}
		}
	}
	changes, ended, err := access.RevokeAll(r.now, r.store)
	if err != nil || len(ended) != 1 || ended[0].Name != "ann" {
		t.Errorf("revoke all: %v, %v", ended, err)
	}
	if err := r.store.PutSystem(context.Background(), changes...); err != nil {
		t.Fatal(err)
	}
	if err := other.Load(r.store); err != nil || len(other.Keys(false)) != 0 || !other.Closed() {
		t.Errorf("after all were revoked: %v, closed %v", err, other.Closed())
	}
}

func TestKeyRefusals(t *testing.T) {
	r := newRig(t, "")
	for what, k := range map[string]access.Key{ // in any order
		"no name":      {Scopes: scopes(t, "read:x")},
		"no scope":     {Name: "ann"},
		"the token's":  {Name: "token", Scopes: scopes(t, "read:x")},
		"a line break": {Name: "a\nb", Scopes: scopes(t, "read:x")},
		"no namespace": {Name: "ann", Scopes: []access.Scope{{Permission: access.Read}}},
		"none":         {Name: "ann", Scopes: []access.Scope{{Namespace: "x"}}},
		"expired":      {Name: "ann", Scopes: scopes(t, "read:x"), Expires: r.now},
		"a rate":       {Name: "ann", Scopes: scopes(t, "read:x"), Rate: -1},
	} {
		if _, _, err := r.Create(r.local(), k); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if r.Closed() {
		t.Error("a key that was refused closes access")
	}
	if _, _, err := r.Create(context.Background(), access.Key{Name: "ann", Scopes: scopes(t, "admin:*")}); !errors.Is(err, access.ErrPermission) {
		t.Errorf("a first key by anybody: %v", err)
	}
	r.create(access.Key{Name: "ann", Scopes: scopes(t, "admin:*")})
	r.create(access.Key{Name: "cert", Scopes: scopes(t, "read:*"), Certificate: true})
	if _, _, err := r.Create(r.local(), access.Key{Name: "ann", Scopes: scopes(t, "read:*")}); !errors.Is(err, engine.ErrPrecondition) {
		t.Errorf("a second key of a name: %v", err)
	}
	if _, _, err := r.Rotate(r.local(), "cert", 0); !errors.Is(err, engine.ErrPrecondition) {
		t.Errorf("a secret for a certificate: %v", err)
	}
	if _, _, err := r.Rotate(r.local(), "nobody", 0); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("a key that there is not: %v", err)
	}
	if _, err := r.Revoke(r.local(), "ann", false); !errors.Is(err, engine.ErrPrecondition) {
		t.Errorf("the last that may administer: %v", err)
	}
	r.create(access.Key{Name: "bob", Scopes: scopes(t, "admin:*")})
	k, err := r.Revoke(r.local(), "ann", false)
	if err != nil {
		t.Errorf("one of two that may administer: %v", err)
	}
	if again, err := r.Revoke(r.local(), k.ID, false); err != nil || !again.Revoked.Equal(k.Revoked) {
		t.Errorf("revoked again: %v, %v", again, err)
	}
	if _, _, err := r.Rotate(r.local(), k.ID, 0); !errors.Is(err, engine.ErrPrecondition) {
		t.Errorf("a secret for a revoked key: %v", err)
	}
	r.create(access.Key{Name: "ann", Scopes: scopes(t, "read:*")}) // the name is free again
}

// The log is bounded, its chain whole, and any change of it noticed.
func TestAuditChain(t *testing.T) {
	r := newRig(t, "")
	acts := func(n int) {
		for i := range n {
			if err := r.Act(r.local(), "Act", map[string]string{"n": fmt.Sprint(i)}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	acts(5)
	rows, err := r.store.SystemRows("audit", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	put := func(c engine.SystemChange) {
		t.Helper()
		if err := r.store.PutSystem(context.Background(), c); err != nil {
			t.Fatal(err)
		}
	}
	for i, row := range rows {
		for _, at := range []int{0, 31, 32, 40, len(row.Body) - 2} {
			body := append([]byte(nil), row.Body...)
			body[at]++
			put(engine.SystemChange{Kind: "audit", Name: row.Name, Body: body})
			if access.Verify(r.store) == nil {
				t.Errorf("byte %d of entry %d was changed, and it is right", at, i+1)
			}
		}
		put(engine.SystemChange{Kind: "audit", Name: row.Name})
		if access.Verify(r.store) == nil {
			t.Errorf("entry %d was taken out, and it is right", i+1)
		}
		put(engine.SystemChange{Kind: "audit", Name: row.Name, Body: row.Body})
		if err := access.Verify(r.store); err != nil {
			t.Fatal(err)
		}
	}
	acts(10_050)
	entries, more, err := access.Audit(r.store, 0, 3)
	if err != nil || !more || len(entries) != 3 || entries[0].Number != 56 {
		t.Errorf("after %d acts: %v, %v", 10_055, entries, err)
	}
	if rows, err := r.store.SystemRows("audit", "", 0); err != nil || len(rows) != 10_000 {
		t.Errorf("%d entries are kept, %v", len(rows), err)
	}
	if err := access.Verify(r.store); err != nil {
		t.Error(err)
	}
}

// An act that cannot be written to the log is not done.
func TestNoActWithoutEntry(t *testing.T) {
	r := newRig(t, "")
	r.create(access.Key{Name: "ann", Scopes: scopes(t, "admin:*")})
	huge := map[string]string{"reason": strings.Repeat("x", engine.MaxSystemBody)}
	err := r.Act(r.local(), "Act", huge, func(time.Time, engine.SystemReader) ([]engine.SystemChange, error) {
		return []engine.SystemChange{{Kind: "done", Name: "it", Body: []byte{}}}, nil
	})
	if !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("an entry that does not fit: %v", err)
	}
	if body, err := r.store.System("done", "it"); body != nil || err != nil {
		t.Errorf("the act was done without an entry: %v", err)
	}
}

// A key that a newer build has written with what this one does not know is not taken for one
// without it.
func TestUnknownFields(t *testing.T) {
	r := newRig(t, "")
	key, _ := r.create(access.Key{Name: "ann", Scopes: scopes(t, "admin:*")})
	body, err := r.store.System("key", key.ID)
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.Replace(string(body), `{`, `{"agents":["a"],`, 1)
	if err := r.store.PutSystem(context.Background(), engine.SystemChange{Kind: "key", Name: key.ID, Body: []byte(newer)}); err != nil {
		t.Fatal(err)
	}
	if err := access.New(&r.env, "").Load(r.store); !errors.Is(err, engine.ErrDataLoss) || !strings.Contains(err.Error(), "agents") {
		t.Errorf("a key with an unknown field: %v", err)
	}
	if err := r.store.PutSystem(context.Background(), engine.SystemChange{Kind: "key", Name: key.ID, Body: body}); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkIdentify(b *testing.B) {
	r := newRigB(b)
	var secret string
	for i := range 100 {
		_, s, err := r.Create(r.local(), access.Key{Name: fmt.Sprint("key", i), Scopes: []access.Scope{{Namespace: "x", Permission: access.Write}}})
		if err != nil {
			b.Fatal(err)
		}
		secret = s
	}
	shown := access.Shown{Authorization: []string{"Bearer " + secret}}
	b.ReportAllocs()
	for b.Loop() {
		c, err := r.Identify(shown)
		if err != nil {
			b.Fatal(err)
		}
		if g, err := r.Valid(c); err != nil || !g.Allows(access.Write, "x") {
			b.Fatal(err)
		}
	}
}

func newRigB(b *testing.B) *rig {
	r := &rig{env: engine.MemoryEnv(func(err error) { b.Error(err) }, func(string, ...any) {})}
	r.env.Await = func(_ context.Context, ready <-chan struct{}) error { r.store.Step(); <-ready; return nil }
	store, err := engine.Open(r.env, engine.Options{Dir: "/data"})
	if err != nil {
		b.Fatal(err)
	}
	r.store, r.Control = store, access.New(&r.env, "")
	if err := r.Load(store); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	return r
}
