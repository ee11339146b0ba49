package access

import (
	"context"
	"fmt"
	"slices"
	"time"

	"statehouse.dev/statehouse/engine"
)

// maxKeys bounds the keys that are kept. Past it those go first that ended longest ago.
const maxKeys = 4096

// DefaultOverlap is how long the older secret of a key goes on working after a rotation.
const DefaultOverlap = 24 * time.Hour

// Local is the caller of what is done to a store that no daemon has open: whoever can do that can
// read and change all of it anyway.
func Local() *Caller { return &Caller{Name: "local", by: local} }

// Decide is what an act does, given what there is. See engine.SystemUpdate.
type Decide func(now time.Time, rows engine.SystemReader) ([]engine.SystemChange, error)

// Act does what an operator asks and writes it to the audit log, in one batch: either is durable with
// the other or neither is. The details are names, never values or secrets. Whoever asks must
// still be let in when it is decided. decide may be nil: an act that changes no system row.
func (c *Control) Act(ctx context.Context, action string, details map[string]string, decide Decide) error {
	caller := CallerOf(ctx)
	return c.store.UpdateSystem(ctx, engine.SystemUpdate{
		Decide: func(now time.Time, rows engine.SystemReader) (changes []engine.SystemChange, err error) {
			if caller != nil {
				if _, err := c.Valid(caller); err != nil {
					return nil, err
				}
			}
			if decide != nil {
				if changes, err = decide(now, rows); err != nil {
					return nil, err
				}
			}
			entry, err := appendEntries(now, rows, Entry{Principal: Principal(ctx), Action: action, Details: details})
			return append(changes, entry...), err
		},
	})
}

// applied takes up changes of keys that have become durable, made here or on another machine. If it cannot be read no key is good any more: it may
// have been a revocation.
func (c *Control) applied() {
	if err := c.reload(); err != nil {
		c.table.Store(&table{keys: []*Key{{}}})
		c.env.Log("the keys cannot be read, and nothing is let in but the shared token", "error", err.Error())
	}
}

// Create makes a key as k says, with an id and a secret. It returns the secret, which is kept nowhere;
// a key for certificates has none.
func (c *Control) Create(ctx context.Context, k Key) (*Key, string, error) {
	caller := CallerOf(ctx)
	if caller == nil || caller.by == open {
		return nil, "", &engine.Failure{Kind: ErrPermission, Message: "access is open, and a key made by just anybody would shut others out: " +
			"stop the daemon and make the first key with statehoused key create, or start the daemon with a token and use that"}
	}
	k.ID, k.CreatedBy = newID(c.env.Rand), caller.Name
	secret := ""
	if !k.Certificate {
		secret = newSecret(k.ID, c.env.Rand)
	}
	if err := k.validate(); err != nil {
		return nil, "", &engine.Failure{Kind: engine.ErrInvalid, Message: err.Error()}
	}
	details := map[string]string{"key_id": k.ID, "name": k.Name, "scopes": Grant(k.Scopes).String()}
	err := c.Act(ctx, "CreateAccessKey", details, func(now time.Time, rows engine.SystemReader) ([]engine.SystemChange, error) {
		keys, err := readKeys(rows)
		if err != nil {
			return nil, err
		}
		k.Created = now
		if k.Secrets = nil; secret != "" {
			k.Secrets = []Secret{{Hash: HashOf(secret)}}
		}
		if !k.Expires.IsZero() && !now.Before(k.Expires) {
			return nil, &engine.Failure{Kind: engine.ErrInvalid, Message: "the key would have expired already"}
		}
		if i := slices.IndexFunc(keys, func(o *Key) bool { return o.ID == k.ID || o.Name == k.Name && o.Revoked.IsZero() }); i >= 0 {
			return nil, &engine.Failure{Kind: engine.ErrPrecondition, Message: fmt.Sprintf("there is a key %q already (%s): revoke it, rotate it, or choose another name", keys[i].Name, keys[i].ID)}
		}
		changes, err := roomForKey(keys, now)
		return append(changes, k.change()), err
	})
	if err != nil {
		return nil, "", err
	}
	return &k, secret, nil
}

func (k *Key) change() engine.SystemChange {
	return engine.SystemChange{Kind: keyKind, Name: k.ID, Body: k.encode()}
}

// roomForKey drops the key that ended first, if there are too many. One that is dropped was not
// good for anything, and that there are others keeps access closed.
func roomForKey(keys []*Key, now time.Time) ([]engine.SystemChange, error) {
	if len(keys) < maxKeys {
		return nil, nil
	}
	var oldest *Key
	for _, k := range keys {
		if k.ended(now) != "" && (oldest == nil || k.end().Before(oldest.end())) {
			oldest = k
		}
	}
	if oldest == nil {
		return nil, &engine.Failure{Kind: engine.ErrLimit, Message: fmt.Sprintf("limit reached: there are %d keys: revoke some", len(keys))}
	}
	return []engine.SystemChange{{Kind: keyKind, Name: oldest.ID}}, nil
}

// end is when a key that has ended did.
func (k *Key) end() time.Time {
	if !k.Revoked.IsZero() {
		return k.Revoked
	}
	return k.Expires
}

// find finds a key by its id, or by its name if it was not revoked.
func find(keys []*Key, ref string) (*Key, error) {
	for _, k := range keys {
		if k.ID == ref {
			return k, nil
		}
	}
	for _, k := range keys {
		if k.Name == ref && k.Revoked.IsZero() {
			return k, nil
		}
	}
	return nil, &engine.Failure{Kind: engine.ErrInvalid, Message: fmt.Sprintf("there is no key %q", ref), Details: map[string]string{"field": "key"}}
}

// Rotate gives a key a second secret and returns it. The one before goes on working for a while; of
// two, the older ends now.
func (c *Control) Rotate(ctx context.Context, ref string, overlap time.Duration) (*Key, string, error) {
	if overlap < 0 {
		return nil, "", &engine.Failure{Kind: engine.ErrInvalid, Message: "the overlap is negative"}
	}
	seed := make([]byte, secretBytes) // drawn here: the writer draws nothing
	c.env.Rand(seed)
	var key *Key
	var secret string
	details := map[string]string{"key": ref, "overlap": overlap.String()}
	err := c.Act(ctx, "RotateAccessKey", details, func(now time.Time, rows engine.SystemReader) ([]engine.SystemChange, error) {
		keys, err := readKeys(rows)
		if err != nil {
			return nil, err
		}
		if key, err = find(keys, ref); err != nil {
			return nil, err
		}
		if why := key.ended(now); why != "" || key.Certificate {
			if key.Certificate {
				why = "is shown by a certificate, and has no secret"
			}
			return nil, &engine.Failure{Kind: engine.ErrPrecondition, Message: fmt.Sprintf("the key %s (%q) %s", key.ID, key.Name, why)}
		}
		secret = newSecret(key.ID, func(p []byte) { copy(p, seed) })
		latest := key.Secrets[len(key.Secrets)-1]
		key.Secrets = nil
		if overlap > 0 {
			latest.Expires = now.Add(overlap)
			key.Secrets = []Secret{latest}
		}
		key.Secrets = append(key.Secrets, Secret{Hash: HashOf(secret)})
		return []engine.SystemChange{key.change()}, nil
	})
	if err != nil {
		return nil, "", err
	}
	return key, secret, nil
}

// Revoke ends a key. The last that may administer is revoked only by force.
func (c *Control) Revoke(ctx context.Context, ref string, force bool) (*Key, error) {
	var key *Key
	hasToken := c.HasToken()
	err := c.Act(ctx, "RevokeAccessKey", map[string]string{"key": ref}, func(now time.Time, rows engine.SystemReader) ([]engine.SystemChange, error) {
		keys, err := readKeys(rows)
		if err != nil {
			return nil, err
		}
		if key, err = find(keys, ref); err != nil || !key.Revoked.IsZero() {
			return nil, err
		}
		administers := func(k *Key) bool { return k.ended(now) == "" && Grant(k.Scopes).AllowsAll(Admin) }
		others := slices.ContainsFunc(keys, func(k *Key) bool { return k != key && administers(k) })
		if administers(key) && !others && !hasToken && !force {
			return nil, &engine.Failure{Kind: engine.ErrPrecondition, Message: fmt.Sprintf(
				"the key %s (%q) is the last that may administer: without it keys are made only with statehoused key create, while no daemon runs; make another first, or say --force", key.ID, key.Name)}
		}
		key.Revoked = now
		return []engine.SystemChange{key.change()}, nil
	})
	if err != nil {
		return nil, err
	}
	return key, nil
}

// RevokeAll is what revokes every key, as a restore does, and the keys that it ends. Access stays
// closed: there have been keys.
func RevokeAll(now time.Time, rows engine.SystemReader) (changes []engine.SystemChange, ended []*Key, err error) {
	keys, err := readKeys(rows)
	for _, k := range keys {
		if k.Revoked.IsZero() {
			k.Revoked = now
			ended, changes = append(ended, k), append(changes, k.change())
		}
	}
	return changes, ended, err
}

// Keys lists the keys in order of their names; unless all, those that can be used.
func (c *Control) Keys(all bool) []*Key {
	now := c.env.Now()
	return listed(c.table.Load().keys, all, now)
}

// ListKeys is Keys of a store that no process has open.
func ListKeys(rows engine.SystemReader, all bool, now time.Time) ([]*Key, error) {
	keys, err := readKeys(rows)
	return listed(keys, all, now), err
}

func listed(keys []*Key, all bool, now time.Time) []*Key {
	keys = slices.DeleteFunc(slices.Clone(keys), func(k *Key) bool { return !all && k.ended(now) != "" })
	slices.SortStableFunc(keys, func(a, b *Key) int {
		if a.Name != b.Name {
			if a.Name < b.Name {
				return -1
			}
			return 1
		}
		return a.Created.Compare(b.Created)
	})
	return keys
}
