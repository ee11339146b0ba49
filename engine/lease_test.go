package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

func leaseOp(agent, lease string, eval engine.Evaluation) engine.Write {
	return engine.Write{Name: engine.RecordName{Agent: agent, Key: lease}, Eval: eval}
}

// transact commits under a fresh id.
func (w *world) transact(c engine.Conditions, writes ...engine.Write) (engine.CommitResult, error) {
	w.ids++
	return w.Transact(context.Background(), engine.TxnID(fmt.Sprintf("transact-%d", w.ids)), writes, c)
}

func (w *world) acquire(agent, lease, holder string, ttl time.Duration) (token engine.Version, err error) {
	r, err := w.transact(engine.Conditions{}, leaseOp(agent, lease, engine.Acquire{Holder: holder, TTL: ttl}))
	if err != nil {
		return 0, err
	}
	return r.Results[0].Version, nil
}

func (w *world) mustAcquire(agent, lease, holder string, ttl time.Duration) engine.Version {
	w.t.Helper()
	token, err := w.acquire(agent, lease, holder, ttl)
	if err != nil {
		w.t.Fatalf("%s cannot acquire %s of %s: %v", holder, lease, agent, err)
	}
	return token
}

// under writes on condition that a lease is held under a token.
func (w *world) under(agent, lease string, token engine.Version) error {
	_, err := w.transact(engine.Conditions{Leases: []engine.LeasePrecondition{{Agent: engine.AgentName{Agent: agent}, Lease: lease, Token: token}}},
		engine.Write{Name: engine.RecordName{Agent: agent, Key: "work"}, Value: []byte(`{}`)})
	return err
}

func (w *world) renew(agent, lease string, token engine.Version, ttl time.Duration) engine.Renewed {
	w.t.Helper()
	r, err := w.RenewLeases(context.Background(), []engine.Renewal{{Agent: engine.AgentName{Agent: agent}, Lease: lease, Token: token, TTL: ttl}}, nil)
	if err != nil {
		w.t.Fatalf("renewing: %v", err)
	}
	return r[0]
}

func (w *world) leases(l engine.LeaseList) []engine.Lease {
	w.t.Helper()
	leases, more, err := w.Leases(context.Background(), l)
	if err != nil || more {
		w.t.Fatalf("listing leases: %v, more %t", err, more)
	}
	return leases
}

// TestLease: one at a time holds it, until it is released or lapses, and not a moment longer: the token
// is refused then, also while nobody else holds it.
func TestLease(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	one := w.mustAcquire("a", "main", "one", time.Minute)
	_, err := w.acquire("a", "main", "two", time.Minute)
	var f *engine.Failure
	if !errors.Is(err, engine.ErrLeaseHeld) || !errors.As(err, &f) || f.Details["holder"] != "one" || f.Details["token"] != one.String() || f.Details["deadline"] == "" {
		t.Fatalf("a lease that is held is acquired: %v", err)
	}
	if err := w.under("a", "main", one); err != nil {
		t.Fatal(err)
	}
	w.clock = w.clock.Add(50 * time.Second)
	deadline := w.clock.Add(time.Minute)
	if r := w.renew("a", "main", one, 0); r.Lost || !r.Deadline.Equal(deadline) {
		t.Fatalf("renewed to %+v, want %v", r, deadline)
	}
	w.crash(simdisk.CrashOptions{Mode: simdisk.DropAll})
	w.start()
	w.until(deadline.Add(-1))
	if err := w.under("a", "main", one); err != nil {
		t.Fatalf("before its deadline: %v", err)
	}
	w.until(deadline)
	if err := w.under("a", "main", one); !errors.Is(err, engine.ErrLeaseLost) {
		t.Fatalf("after it has lapsed: %v", err)
	}
	if r := w.renew("a", "main", one, 0); !r.Lost {
		t.Fatalf("a lease that has lapsed is renewed: %+v", r)
	}
	two := w.mustAcquire("a", "main", "two", time.Minute)
	if two <= one {
		t.Fatalf("token %d follows %d", two, one)
	}
	if err := w.under("a", "main", one); !errors.Is(err, engine.ErrLeaseLost) {
		t.Fatalf("under the token of before: %v", err)
	}
	if _, err := w.transact(engine.Conditions{}, leaseOp("a", "main", engine.Release{Token: one})); !errors.Is(err, engine.ErrLeaseLost) {
		t.Fatalf("a release under the token of before: %v", err)
	}
	if _, err := w.transact(engine.Conditions{}, leaseOp("a", "main", engine.Release{Token: two})); err != nil {
		t.Fatal(err)
	}
	// The version of the release is no token.
	for _, token := range []engine.Version{two, two + 1} {
		if err := w.under("a", "main", token); !errors.Is(err, engine.ErrLeaseLost) {
			t.Fatalf("under token %d after a release: %v", token, err)
		}
	}
	if three := w.mustAcquire("a", "main", "three", time.Minute); three <= two+1 {
		t.Fatalf("token %d follows %d", three, two)
	}
	w.close()
	w.verify("at the end")
}

// TestLeaseLapsesInAStep: in the step in which a lease lapses, whoever wants it gets it, and whoever
// held it does not: there is one order.
func TestLeaseLapsesInAStep(t *testing.T) {
	for _, back := range []time.Duration{0, -time.Hour} {
		w := newWorld(t, 1, engine.Limits{})
		token := w.mustAcquire("a", "main", "one", time.Minute)
		w.clock = w.clock.Add(time.Minute + back)
		_ = w.abandon(func() error {
			_, err := w.RenewLeases(context.Background(), []engine.Renewal{{Agent: engine.AgentName{Agent: "a"}, Lease: "main", Token: token}}, nil)
			return err
		})
		next, err := w.acquire("a", "main", "two", time.Minute)
		if back == 0 {
			if err != nil || next <= token {
				t.Errorf("in the step in which it lapses: token %d, %v", next, err)
			}
			if r := w.renew("a", "main", token, 0); !r.Lost {
				t.Errorf("it was renewed in the step in which it lapsed: %+v", r)
			}
		} else if !errors.Is(err, engine.ErrLeaseHeld) {
			t.Errorf("after the clock was set back: token %d, %v", next, err)
		}
		w.close()
		w.verify("at the end")
	}
}

// TestTokensRise: whatever becomes of a lease, its tokens rise.
func TestTokensRise(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	last := engine.Version(0)
	for _, ends := range []func(token engine.Version){
		func(token engine.Version) {
			if _, err := w.transact(engine.Conditions{}, leaseOp("a", "main", engine.Release{Token: token})); err != nil {
				t.Fatal(err)
			}
		},
		func(engine.Version) { w.until(w.clock.Add(time.Hour)) },
		func(engine.Version) { w.erase(engine.Erasure{Agent: "a", Reason: "test"}) },
		func(token engine.Version) { // and taken by another in the same commit
			r, err := w.transact(engine.Conditions{}, leaseOp("a", "main", engine.Release{Token: token}), leaseOp("a", "main", engine.Acquire{TTL: time.Second}))
			if err != nil || r.Results[1].Version <= token {
				t.Fatalf("token %+v, %v", r, err)
			}
			last = r.Results[1].Version
			w.until(w.clock.Add(time.Hour))
		},
		func(engine.Version) {},
	} {
		token := w.mustAcquire("a", "main", "me", time.Minute)
		if token <= last {
			t.Fatalf("token %d follows %d", token, last)
		}
		last = token
		ends(token)
		w.restart()
		if err := w.under("a", "main", token); err == nil && token != last {
			t.Fatalf("token %d is good for good", token)
		}
	}
	w.close()
	w.verify("at the end")
}

func (w *world) erase(x engine.Erasure) {
	w.t.Helper()
	if err := w.Erase(context.Background(), x, func(engine.ErasureProgress) error { return nil }); err != nil {
		w.t.Fatalf("erasing: %v", err)
	}
}

// TestLeasesList: the leases that are held, of an agent or of all, page by page.
func TestLeasesList(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{AgentLeases: 3})
	for _, of := range [][2]string{{"a", "x"}, {"a", "y"}, {"a", "z"}, {"a:b", "x"}, {"b", "y"}} {
		w.mustAcquire(of[0], of[1], "me", time.Minute)
		w.set(of[0], "x", time.Minute)
		w.set(of[0], "zz", 0)
	}
	if _, err := w.acquire("a", "fourth", "me", time.Minute); !errors.Is(err, engine.ErrEvaluation) {
		t.Errorf("a fourth lease of three: %v", err)
	}
	for _, c := range []struct {
		l    engine.LeaseList
		want string
	}{
		{engine.LeaseList{}, "a/x a/y a/z a:b/x b/y"},
		{engine.LeaseList{Agent: "a"}, "a/x a/y a/z"},
		{engine.LeaseList{Prefix: "y"}, "a/y b/y"},
		{engine.LeaseList{Agent: "a:b", Prefix: "x"}, "a:b/x"},
		{engine.LeaseList{Agent: "nobody"}, ""},
		{engine.LeaseList{Namespace: "other"}, ""},
	} {
		got := ""
		for _, l := range w.leases(c.l) {
			got += " " + l.Agent.Agent + "/" + l.Name
			if l.Holder != "me" || l.TTL != time.Minute || l.Token != 1 || l.Deadline.Before(l.AcquiredAt) || l.AcquiredTS == 0 {
				t.Errorf("a lease is %+v", l)
			}
		}
		if got != "" {
			got = got[1:]
		}
		if got != c.want {
			t.Errorf("%+v lists %q, want %q", c.l, got, c.want)
		}
		paged := ""
		for l, more := c.l, true; more; {
			var leases []engine.Lease
			var err error
			l.Page.Items = 1
			if leases, more, err = w.Leases(context.Background(), l); err != nil {
				t.Fatal(err)
			}
			for _, one := range leases {
				paged += " " + one.Agent.Agent + "/" + one.Name
				l.After, l.AfterName = one.Agent, one.Name
			}
		}
		if paged != "" {
			paged = paged[1:]
		}
		if paged != c.want {
			t.Errorf("%+v lists %q page by page, want %q", c.l, paged, c.want)
		}
	}
	w.close()
}

// TestRefreshExpiry: a record that was used lasts for longer, durably, and no reader is told so before
// that.
func TestRefreshExpiry(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	at := w.set("a", "k", time.Minute).CommitTime
	w.set("a", "stays", 0)
	w.clock = w.clock.Add(30 * time.Second)
	names := []engine.RecordName{{Agent: "a", Key: "k"}, {Agent: "a", Key: "stays"}, {Agent: "a", Key: "none"}}
	_ = w.abandon(func() error { _, err := w.RefreshExpiry(context.Background(), names, 0, nil); return err })
	if !w.Plan() {
		t.Fatal("nothing was asked")
	}
	if got := w.get("a", "k").ExpiresAt; !got.Equal(at.Add(time.Minute)) {
		t.Errorf("before it is durable it expires at %v", got)
	}
	w.Settle()
	later := at.Add(90 * time.Second)
	if got := w.get("a", "k").ExpiresAt; !got.Equal(later) {
		t.Errorf("after a refresh it expires at %v, want %v", got, later)
	}
	for _, ttl := range []time.Duration{0, time.Second} { // none comes nearer
		if r, err := w.RefreshExpiry(context.Background(), names, ttl, nil); err != nil || !r[0].ExpiresAt.Equal(later) || r[0].Version != 1 || r[1] != r[2] || r[1].Version != 0 {
			t.Errorf("refreshed by %v: %+v, %v", ttl, r, err)
		}
	}
	published := w.Published()
	w.crash(simdisk.CrashOptions{Mode: simdisk.DropAll})
	w.start()
	w.until(later.Add(-1))
	if !w.get("a", "k").Exists || w.Published() != published {
		t.Errorf("it has expired at the deadline of before")
	}
	w.until(later)
	if w.get("a", "k").Exists {
		t.Errorf("it is there after its deadline")
	}
	w.close()
	w.verify("at the end")
}
