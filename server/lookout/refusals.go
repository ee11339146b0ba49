package lookout

import (
	"cmp"
	"container/list"
	"slices"
	"sync"
	"time"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Kept is for how long refusals are kept, to the minute.
const Kept = minutes * time.Minute

// minutes is for how long refusals are kept, one count a minute.
const minutes = 60

// most is how many different refusals are kept in each tier: whole, whose names take up to 2 KiB; by namespace,
// principal and code; and by their code, of which there are few.
var most = [...]int{768, 256, 1 << 10}

// Kind is what makes two refusals alike.
type Kind struct {
	Namespace, Agent, Key, Lease string
	Principal, Method            string
	Code                         pb.ErrorCode
	Limit                        string
}

// in is what is left of k in a tier.
func (k Kind) in(tier int) Kind {
	switch tier {
	case 1:
		return Kind{Namespace: k.Namespace, Principal: k.Principal, Code: k.Code}
	case 2:
		return Kind{Code: k.Code}
	}
	return k
}

// Refusal is how often something was refused in the last hour.
type Refusal struct {
	Kind
	Count       uint64
	First, Last time.Time // the first to the minute
}

// Refusals are those of the last hour. When a tier is full, what was refused longest ago of it is counted in the
// next. The zero value has none.
type Refusals struct {
	mu    sync.Mutex
	tiers [len(most)]tier
}

type tier struct {
	kinds map[Kind]*list.Element
	order list.List // of *counts, the last that was refused in front
}

// counts is how often a kind was refused, by the minute.
type counts struct {
	Kind
	last time.Time
	by   [minutes]uint32 // by[m%minutes] is of minute m, for those up to that of last
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

// forget drops what is older than an hour at a time, and makes room for the minutes up to it.
func (c *counts) forget(now time.Time) {
	from, to := minuteOf(c.last)+1, minuteOf(now)
	for m := max(from, to-minutes+1); m <= to; m++ {
		c.by[m%minutes] = 0
	}
	if now.After(c.last) {
		c.last = now
	}
}

// Add counts a refusal.
func (r *Refusals) Add(k Kind, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.of(0, k, now)
	c.forget(now)
	c.by[minuteOf(c.last)%minutes]++
}

// of is where a kind is counted in a tier. It is the last that is left when others make room.
func (r *Refusals) of(n int, k Kind, now time.Time) *counts {
	t := &r.tiers[n]
	if e := t.kinds[k]; e != nil {
		t.order.MoveToFront(e)
		return e.Value.(*counts)
	}
	if t.kinds == nil {
		t.kinds = make(map[Kind]*list.Element)
	}
	if len(t.kinds) >= most[n] {
		oldest := t.order.Remove(t.order.Back()).(*counts)
		delete(t.kinds, oldest.Kind)
		if n+1 < len(r.tiers) && minuteOf(now)-minuteOf(oldest.last) < minutes {
			r.of(n+1, oldest.in(n+1), oldest.last).merge(oldest)
		}
	}
	c := &counts{Kind: k, last: now}
	t.kinds[k] = t.order.PushFront(c)
	return c
}

// merge adds what o has counted.
func (c *counts) merge(o *counts) {
	c.forget(o.last)
	for m := minuteOf(c.last) - minutes + 1; m <= minuteOf(o.last); m++ {
		c.by[m%minutes] += o.by[m%minutes]
	}
}

// List is what was refused in the hour before now, the last first.
func (r *Refusals) List(now time.Time) []Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Refusal
	for n := range r.tiers {
		for e := r.tiers[n].order.Front(); e != nil; e = e.Next() {
			if one := e.Value.(*counts).hour(now); one.Count > 0 {
				out = append(out, one)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Refusal) int { return cmp.Compare(b.Last.UnixNano(), a.Last.UnixNano()) })
	return out
}

// hour is what was counted in the hour before now.
func (c *counts) hour(now time.Time) Refusal {
	one := Refusal{Kind: c.Kind, Last: c.last}
	for m := max(minuteOf(now), minuteOf(c.last)) - minutes + 1; m <= minuteOf(c.last); m++ {
		n := c.by[m%minutes]
		if n > 0 && one.First.IsZero() {
			one.First = time.Unix(m*60, 0)
		}
		one.Count += uint64(n)
	}
	return one
}
