package serial

import (
	"strings"

	"statehouse.dev/statehouse/history"
)

// Records that are due are, beside the keys that they are, leases of claims: of some versions the token is one.
// What such a version is stands in place of a value, as far as it is known: that the daemon made it ready the
// log tells, and that it was claimed, whoever claimed it. Both are seen by the operations that follow.

const (
	wakeWaits   = "waits"
	wakeReady   = "ready"
	wakeClaimed = "claimed"
)

// heldUnder is a lease under a token. What a claim has under one is claimed.
func heldUnder(lease history.Name, token uint64) facts {
	f := held(token)
	if isLease(lease) && strings.HasPrefix(lease.Key, leaseMark+dueLease) {
		f.known, f.value = f.known|knowsValue, wakeClaimed
	}
	return f
}

// asWake is what is known of a version of a wake-up by the event that made it.
func asWake(f facts, ev *history.Event) facts {
	f.known, f.value = f.known&^knowsValue, ""
	if f.exists && ev.Cause != "" {
		f.known, f.value = f.known|knowsValue, wakeReady
	}
	return f
}

// asWakes gives what an event does to wake-ups what is known of them.
func asWakes(list []effect, ev *history.Event) {
	for i := range ev.Ops {
		if o := &ev.Ops[i]; o.Due {
			for k := range list {
				if list[k].name == keptAs(o) {
					list[k].facts = asWake(list[k].facts, ev)
				}
			}
		}
	}
}

// asAsked gives what a commit did to wake-ups what is known of them by its request: they wait, or are claimed.
func asAsked(does []effect, asked []*history.Operation) {
	list := asked[0].In.Writes
	for i := range list {
		w := &list[i]
		for k := range does {
			e := &does[k]
			switch {
			case !isLease(e.name) || !e.exists:
			case w.Op == history.Claim:
				e.known, e.value = e.known|knowsValue, wakeClaimed
			case isDue(w) && e.name == leaseOf(w.Namespace, w.Agent, dueLease+w.Key):
				e.known, e.value = e.known|knowsValue, wakeWaits
			}
		}
	}
}

// isDue reports whether a write says when its record is due.
func isDue(w *history.Write) bool { return w.With != nil && (w.With.DueAt != 0 || w.With.DueIn != nil) }

// wantsReady adds that what a claim was given was ready.
func (c *constraints) wantsReady(a *constraint, op *history.Operation) {
	for i := range op.Out.Results {
		for _, d := range op.Out.Results[i].Claimed {
			if l := d.Lease; l != nil {
				a.sees = append(a.sees, sight{leaseOf(l.Namespace, l.Agent, l.Lease), facts{
					known: knowsExists | knowsVersion | knowsValue, exists: true, version: l.Token - 1, value: wakeReady,
				}})
			}
		}
	}
}
