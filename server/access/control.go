package access

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"statehouse.dev/statehouse/engine"
)

// The refusals. Package server maps them to the wire.
var (
	// ErrUnauthenticated: nothing that was shown is good.
	ErrUnauthenticated = errors.New("unauthenticated")
	// ErrPermission: the caller may not do this.
	ErrPermission = errors.New("permission denied")
)

// Control decides about requests. Its methods may be called from any goroutine.
type Control struct {
	env    *engine.Env
	store  Store
	table  atomic.Pointer[table]
	token  atomic.Pointer[token]
	open   streams
	denied refusals
}

// Store is the engine, as far as it is used.
type Store interface {
	engine.SystemReader
	UpdateSystem(ctx context.Context, u engine.SystemUpdate) error
	AskSystem(u engine.SystemUpdate) error
	OnSystem(kind string, f func())
}

// token is the shared token, by its hash; nil: there is none.
type token struct{ hash Hash }

// table is the keys. It never changes.
type table struct {
	byID      map[string]*entry
	bySubject map[string]*entry
	keys      []*Key // in order of their ids
}

type entry struct {
	*Key
	grant Grant
}

// none is compared in place of a key that there is not.
var none = &entry{Key: &Key{Secrets: []Secret{{}, {}}}}

// New makes a Control that knows no key. Load it when the store is open.
func New(env *engine.Env, sharedToken string) *Control {
	c := &Control{env: env}
	c.open.init()
	c.denied.init()
	c.table.Store(&table{})
	c.SetToken(sharedToken)
	return c
}

// Load reads the keys of a store, and from then on keeps to it.
func (c *Control) Load(store Store) error {
	c.store = store
	store.OnSystem(keyKind, c.applied)
	return c.reload()
}

// SetToken changes the shared token; empty: there is none. See Holds.
func (c *Control) SetToken(secret string) {
	if secret == "" {
		c.token.Store(nil)
		return
	}
	c.token.Store(&token{HashOf(secret)})
}

// reload makes the table anew from the rows that are durable.
func (c *Control) reload() error {
	keys, err := readKeys(c.store)
	if err != nil {
		return err
	}
	c.table.Store(newTable(keys))
	return nil
}

func newTable(keys []*Key) *table {
	t := &table{byID: make(map[string]*entry, len(keys)), bySubject: make(map[string]*entry), keys: keys}
	for _, k := range keys {
		e := &entry{k, Grant(slices.Clip(k.Scopes))}
		if e.grant == nil {
			e.grant = Grant{} // nil allows everything
		}
		t.byID[k.ID] = e
		if k.Certificate && k.Revoked.IsZero() {
			t.bySubject[k.Name] = e
		}
	}
	return t
}

func readKeys(rows engine.SystemReader) ([]*Key, error) {
	list, err := rows.SystemRows(keyKind, "", 0)
	if err != nil {
		return nil, err
	}
	keys := make([]*Key, len(list))
	for i, row := range list {
		if keys[i], err = decodeKey(row.Name, row.Body); err != nil {
			return nil, damaged(err)
		}
	}
	return keys, nil
}

// keyKind is the kind of the rows that hold keys, by their ids.
const keyKind = "key"

func damaged(err error) error { return &engine.Failure{Kind: engine.ErrDataLoss, Message: err.Error()} }

// Closed reports whether a request must show something: there is a token, or there has been a key.
func (c *Control) Closed() bool { return c.token.Load() != nil || c.HasKeys() }

// HasKeys reports whether there is a key, or has been one.
func (c *Control) HasKeys() bool { return len(c.table.Load().keys) > 0 }

// HasToken reports whether there is a shared token.
func (c *Control) HasToken() bool { return c.token.Load() != nil }

// Shown is what a request shows of who asks.
type Shown struct {
	Authorization []string  // the values of the header
	Subject       string    // of the verified client certificate
	SubjectUntil  time.Time // when that ends
}

// Identify finds who asks. Its refusal says what is wrong with what was shown: with the same
// text for nothing and for something wrong an operator would look in the wrong place.
func (c *Control) Identify(s Shown) (*Caller, error) {
	said := c.wanted()
	closed := c.Closed()
	for _, v := range s.Authorization {
		secret, isBearer := strings.CutPrefix(v, "Bearer ")
		if !isBearer || !closed {
			continue
		}
		caller, why := c.bySecret(secret)
		if caller != nil {
			return caller, nil
		}
		said = why
	}
	switch {
	case s.Subject != "":
		caller := &Caller{Name: s.Subject, by: byCertificate, until: s.SubjectUntil}
		if _, err := c.Valid(caller); err != nil {
			if len(s.Authorization) > 0 {
				return nil, unauthenticated(said)
			}
			return nil, err
		}
		return caller, nil
	case closed:
		return nil, unauthenticated(said)
	}
	return &Caller{}, nil
}

func (c *Control) wanted() string {
	if c.HasKeys() {
		return `this daemon wants a key: send "authorization: Bearer shk_…"; an operator makes one with statehousectl key create`
	}
	return `this daemon wants a token: send "authorization: Bearer …"`
}

// bySecret finds whose a secret is, or says why it is nobody's.
func (c *Control) bySecret(secret string) (caller *Caller, why string) {
	h := HashOf(secret)
	if t := c.token.Load(); t != nil && subtle.ConstantTimeCompare(t.hash[:], h[:]) == 1 {
		return &Caller{Name: TokenPrincipal, by: byToken, hash: h}, ""
	}
	id, isKey := idOf(secret)
	e := c.table.Load().byID[id]
	if e == nil {
		e = none
	}
	now := c.env.Now()
	live := e.live(h, now)
	switch {
	case !live && isKey:
		return nil, "the key after Bearer is not one of this daemon, or its secret was replaced"
	case !live:
		return nil, "the token after Bearer is not the one of this daemon"
	case e.ended(now) != "":
		return nil, e.refusal(now)
	}
	return &Caller{Name: e.Name, by: byKey, id: id, hash: h}, ""
}

func (e *entry) refusal(now time.Time) string {
	return fmt.Sprintf("the key %s (%q) %s: ask an operator for another, statehousectl key create makes one", e.ID, e.Name, e.ended(now))
}

// Holds reports whether what a caller began may go on: a stream. It is Valid, but for the shared token:
// one that takes its place cuts nobody off, for there is no moment at which all clients change to
// it. To cut off who has an old one, take the token away, and give out keys.
func (c *Control) Holds(caller *Caller) error {
	if caller.by == byToken && c.HasToken() {
		return nil
	}
	_, err := c.Valid(caller)
	return err
}

// Valid reports what a caller may do, if what it was identified by is still good.
func (c *Control) Valid(caller *Caller) (Grant, error) {
	now := c.env.Now()
	switch caller.by {
	case byToken:
		if t := c.token.Load(); t == nil || t.hash != caller.hash {
			return nil, unauthenticated("the token was changed: use the new one")
		}
		return nil, nil
	case byKey:
		e := c.table.Load().byID[caller.id]
		switch {
		case e == nil:
			return nil, unauthenticated("the key is no longer there: ask an operator for another")
		case e.ended(now) != "":
			return nil, unauthenticated(e.refusal(now))
		case !e.live(caller.hash, now):
			return nil, unauthenticated("the secret of the key was replaced: use the new one")
		}
		return e.grant, nil
	case byCertificate:
		return c.validCertificate(caller, now)
	case local:
		return nil, nil
	}
	if c.Closed() {
		return nil, unauthenticated(c.wanted())
	}
	return nil, nil
}

func (c *Control) validCertificate(caller *Caller, now time.Time) (Grant, error) {
	if !now.Before(caller.until) {
		return nil, unauthenticated("the client certificate has expired: connect with a new one")
	}
	t := c.table.Load()
	e := t.bySubject[caller.Name]
	switch {
	case e != nil && e.ended(now) != "":
		return nil, unauthenticated(e.refusal(now))
	case e != nil:
		return e.grant, nil
	case len(t.keys) > 0:
		return nil, unauthenticated(fmt.Sprintf("there is no key for the certificate of %q: an operator makes one with statehousectl key create --certificate --name %q", caller.Name, caller.Name))
	case c.HasToken():
		return nil, unauthenticated(c.wanted())
	}
	return nil, nil
}

func unauthenticated(message string) error {
	return &engine.Failure{Kind: ErrUnauthenticated, Message: message}
}

// Denied is the refusal of what a caller may not do. namespace is empty for what concerns all.
func Denied(caller *Caller, g Grant, p Permission, namespace string) error {
	on, grant := fmt.Sprintf("namespace %q", namespace), fmt.Sprintf("%s:%s", p, namespace)
	if namespace == "" {
		on, grant = "all namespaces", p.String()+":*"
	}
	f := &engine.Failure{
		Kind:    ErrPermission,
		Message: fmt.Sprintf("%q needs the permission %s on %s and has %s: ask an operator for a key with --grant %s", caller.Name, p, on, g, grant),
		Details: map[string]string{"permission": p.String(), "namespace": namespace, "principal": caller.Name},
	}
	if namespace == "" {
		f.Details["namespace"] = "*"
	}
	return f
}

// Rate is how many requests a second a caller may make; 0: it has no limit of its own.
func (c *Control) Rate(caller *Caller) float64 {
	t := c.table.Load()
	switch caller.by {
	case byKey:
		if e := t.byID[caller.id]; e != nil {
			return e.Rate
		}
	case byCertificate:
		if e := t.bySubject[caller.Name]; e != nil {
			return e.Rate
		}
	}
	return 0
}
