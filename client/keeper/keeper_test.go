package keeper

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/client/state"
)

var errGone, errUnreachable = errors.New("lost"), errors.New("unreachable")

// source is a client whose clock is that of a bubble. It notes what is wrong about how it is asked.
type source struct {
	k      *Keeper
	t      *table
	number int
	answer func(n int) (takes time.Duration, lost bool, err error) // to the n-th request
	asked  int
}

// table is what a test knows of the leases of all sources.
type table struct {
	mu     sync.Mutex
	leases map[*Lease]*lease
	wrong  string
}

type lease struct {
	held   bool
	until  time.Time // from what was granted
	next   time.Time // when the next renewal has to come
	tries  int
	lostAt time.Time
	gone   bool // the answer was that it is lost
}

func (t *table) fail(format string, args ...any) {
	if t.wrong == "" {
		t.wrong = fmt.Sprintf(format, args...)
	}
}

func (s *source) Now() time.Time { return time.Now() }

func (s *source) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		s.t.mu.Lock()
		s.t.fail("it sleeps for %v", d)
		s.t.mu.Unlock()
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

func (s *source) WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d)
}

func (s *source) Lost(_ *Lease, err error) error { return errors.Join(errGone, err) }

func (s *source) Renew(ctx context.Context, due []*Lease) ([]bool, error) {
	now := time.Now()
	s.check(ctx, due, now)
	s.t.mu.Lock()
	s.asked++
	takes, gone, err := s.answer(s.asked)
	s.t.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		gone, err = false, ctx.Err()
	}
	lost := make([]bool, len(due))
	if gone {
		lost[0] = true
	}
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	for i, l := range due {
		switch m := s.t.leases[l]; {
		case err != nil:
			m.next = time.Now().Add(min(l.TTL/10, time.Second))
			if m.until.Before(m.next) {
				m.next = m.until
			}
			if !time.Now().Before(m.until) {
				m.held = false // which the keeper is about to see
			}
		case lost[i]:
			m.gone, m.held = true, false
		default:
			m.until, m.next = now.Add(l.TTL), now.Add(l.TTL/3)
		}
	}
	if err != nil {
		return nil, err
	}
	return lost, nil
}

// check looks at a request: whose leases it renews, when, and how long it may take.
func (s *source) check(ctx context.Context, due []*Lease, now time.Time) {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	if len(due) == 0 || len(due) > renewedAtOnce {
		s.t.fail("%d leases in a request", len(due))
	}
	patience := time.Hour
	for _, l := range due {
		m := s.t.leases[l]
		m.tries++
		patience = min(patience, l.TTL/3, m.until.Sub(now))
		switch {
		case l.By != s:
			s.t.fail("source %d renews a lease of %d", s.number, l.By.(*source).number)
		case !m.held || m.gone:
			s.t.fail("a lease is renewed that is not held")
		case !now.Equal(m.next):
			s.t.fail("a renewal comes %v late", now.Sub(m.next))
		}
	}
	if end, there := ctx.Deadline(); !there || !end.Equal(now.Add(patience)) {
		s.t.fail("a request may take %v, not %v", end.Sub(now), patience)
	}
}

// hold begins to renew a lease and watches what becomes of it.
func (s *source) hold(ttl time.Duration) (*Lease, *lease) {
	now := time.Now()
	l, m := &Lease{By: s, TTL: ttl, Condition: state.LeasePrecondition{Lease: "l"}}, &lease{held: true, until: now.Add(ttl), next: now.Add(ttl / 3)}
	l.Renewed(now)
	s.t.mu.Lock()
	s.t.leases[l] = m
	s.t.mu.Unlock()
	ctx, _ := l.Context(context.Background())
	context.AfterFunc(ctx, func() {
		s.t.mu.Lock()
		defer s.t.mu.Unlock()
		m.held, m.lostAt = false, time.Now()
		if !errors.Is(context.Cause(ctx), errGone) || !errors.Is(l.Err(), errGone) {
			s.t.fail("it was lost for %v, %v", context.Cause(ctx), l.Err())
		}
		if late := m.lostAt.Sub(m.until); !m.gone && late != 0 {
			s.t.fail("it is known to be lost %v after it was over", late)
		}
	})
	s.k.Add(l)
	return l, m
}

// TestKeeper: whatever requests take and how they end, each lease is renewed when it is due, with others of its
// client only, until it is given up, was lost, or is over: which is known at that moment.
func TestKeeper(t *testing.T) {
	var lost, ends, failures, most int
	rapid.Check(t, func(rt *rapid.T) {
		type plan struct {
			at, ttl, until time.Duration
			of             int
		}
		type answer struct {
			takes time.Duration
			how   int
		}
		second := func(from, to int) *rapid.Generator[time.Duration] {
			return rapid.Map(rapid.IntRange(from*4, to*4), func(n int) time.Duration { return time.Duration(n) * time.Second / 4 })
		}
		plans := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) plan {
			return plan{second(0, 30).Draw(t, "at"), second(1, 30).Draw(t, "ttl"), second(1, 90).Draw(t, "held for"), rapid.IntRange(0, 1).Draw(t, "of")}
		}), 1, 6).Draw(rt, "leases")
		answers := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) answer {
			return answer{rapid.SampledFrom([]time.Duration{0, 0, 0, time.Second / 8, time.Second, 20 * time.Second}).Draw(t, "takes"), rapid.SampledFrom([]int{0, 0, 0, 1, 1, 2}).Draw(t, "how")}
		}), 1, 12).Draw(rt, "answers")
		tab := &table{leases: make(map[*Lease]*lease)}
		synctest.Test(t, func(*testing.T) {
			k := &Keeper{}
			var sources [2]*source
			for i := range sources {
				sources[i] = &source{k: k, t: tab, number: i, answer: func(n int) (time.Duration, bool, error) {
					switch a := answers[(n+i)%len(answers)]; a.how {
					case 0:
						return a.takes, false, nil
					case 1:
						failures++
						return a.takes, false, errUnreachable
					default:
						return a.takes, true, nil
					}
				}}
			}
			var wg sync.WaitGroup
			for i, p := range plans {
				// No two begin at once, nor does one end when another is renewed.
				moment := time.Duration(i+1) * 101
				wg.Go(func() {
					time.Sleep(p.at + moment)
					l, m := sources[p.of].hold(p.ttl)
					time.Sleep(p.until + 13)
					tab.mu.Lock()
					m.held = false
					if m.lostAt.IsZero() && !m.gone && time.Now().After(m.until) {
						tab.fail("it is held %v after it was over", time.Since(m.until))
					}
					if !m.lostAt.IsZero() {
						lost++
					} else {
						ends++
						m.gone = true
					}
					tab.mu.Unlock()
					k.Remove(l)
					l.End(errGone)
				})
			}
			wg.Wait()
			time.Sleep(time.Hour) // the last request ends; then the keeper's goroutine does, or the bubble cannot
		})
		for _, m := range tab.leases { // counted: order cannot matter
			most = max(most, m.tries)
		}
		if tab.wrong != "" {
			rt.Fatal(tab.wrong)
		}
	})
	if lost == 0 || ends == 0 || failures == 0 || most < 3 {
		t.Errorf("%d leases were lost and %d given up, with %d failures and at most %d tries: it shows nothing", lost, ends, failures, most)
	}
}

// TestManyAtOnce: what is due together is asked for together, a thousand at a time and each client by itself.
func TestManyAtOnce(t *testing.T) {
	tab := &table{leases: make(map[*Lease]*lease)}
	synctest.Test(t, func(t *testing.T) {
		k := &Keeper{}
		var held []*Lease
		sources := []*source{{number: 0}, {number: 1}}
		for i, n := range []int{2*renewedAtOnce + 500, 3} {
			s := sources[i]
			s.k, s.t = k, tab
			s.answer = func(int) (time.Duration, bool, error) { return time.Second, false, nil }
			for range n {
				l, _ := s.hold(3 * time.Minute)
				held = append(held, l)
			}
		}
		time.Sleep(2*time.Minute - 1)
		synctest.Wait()
		if sources[0].asked != 3 || sources[1].asked != 1 {
			t.Errorf("%d requests of one client, %d of the other", sources[0].asked, sources[1].asked)
		}
		for _, l := range held {
			if l.Err() != nil {
				t.Fatal(l.Err())
			}
			k.Remove(l)
		}
	})
	if tab.wrong != "" {
		t.Error(tab.wrong)
	}
}

// TestContexts: all that work under a lease are told once why it ended; who is done is not, and who comes after it
// is told at once.
func TestContexts(t *testing.T) {
	l := &Lease{}
	one, _ := l.Context(t.Context())
	two, done := l.Context(t.Context())
	done()
	if l.Err() != nil || one.Err() != nil || len(l.lost) != 1 {
		t.Fatalf("it is lost before it is: %v, %v, %d are to be told", l.Err(), one.Err(), len(l.lost))
	}
	l.End(errGone)
	l.End(errUnreachable)
	three, never := l.Context(t.Context())
	never()
	if !errors.Is(l.Err(), errGone) || context.Cause(one) != errGone || context.Cause(two) != context.Canceled || context.Cause(three) != errGone {
		t.Errorf("it ended by %v; told were %v, %v, %v", l.Err(), context.Cause(one), context.Cause(two), context.Cause(three))
	}
}
