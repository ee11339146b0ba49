package sim

import (
	"context"
	"fmt"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/sim/sched"
	"statehouse.dev/statehouse/sim/step"
)

// Keys of several nodes. They are made before the first is started. What is revoked on one is so for whatever rests on
// the newest state, on every node, once an operator has been told; and for everything on a node that has applied it.

// revokeAt has an operator ask a node to end a key. The answer comes when it comes, or never.
func (w *World) revokeAt(name string) error {
	p := w.process
	switch {
	case p == nil || p.service == nil || w.paused:
		return misfit("%s is not there to be asked", w.name)
	case w.keys.secrets[name] == "" || w.keys.revoking[name]:
		return misfit("there is no key %q, or not any more", name)
	}
	w.keys.revoking[name] = true
	wire, err := marshal(&pb.RevokeAccessKeyRequest{Key: name})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Call{
		node: w.node, request: request{method: step.AdminMethod("RevokeAccessKey"), wire: wire}, op: &history.Operation{Client: "operator"},
		done: true, arrived: true, cancel: cancel,
	}
	c.handler = sched.Spawn(func(t *sched.Task) {
		if _, err := p.handle(ctx, t, c); !t.Killed() {
			w.rec.note(p.n.name, "revoke", fmt.Sprint(name, ": ", err))
			if err == nil {
				w.keyRevoked(name)
			}
		}
		cancel()
	})
	w.handlers = append(w.handlers, c)
	w.resume(c)
	return nil
}

// keyRevoked makes note of what an operator was told.
func (w *World) keyRevoked(name string) {
	w.keys.revoked[name], w.keys.entries[name] = 0, 0
	for _, n := range w.nodes {
		if p := n.process; n.takesPart() && p.service != nil {
			w.keys.revoked[name] = max(w.keys.revoked[name], uint64(p.service.Engine().Published()))
			w.keys.entries[name] = max(w.keys.entries[name], p.member.Status().Applied)
		}
	}
	w.rec.probe("key revoked")
}

// knowsRevoked reports whether the daemon that a call came to knows that its key was revoked.
func (w *World) knowsRevoked(c *Call) bool {
	if _, ended := w.keys.revoked[c.token]; !ended || w.peers == nil {
		return ended
	}
	p := c.node.process
	return p != nil && p.member != nil && p.member.Status().Applied >= w.keys.entries[c.token]
}

// judgeKey holds a node to what it refuses whom because of a key.
func (w *World) judgeKey(a *asked, err error) {
	_, refusal := record.Outcome(err)
	unknown, denied := err != nil && refusal.Code == "UNAUTHENTICATED", err != nil && refusal.Code == "PERMISSION_DENIED"
	switch {
	case unknown && (a.token == "" || !w.keys.revoking[a.token]), denied && !a.Denied:
		w.rec.violate("G9", "undeserved", a.op.ID, fmt.Sprintf("#%d of %s is refused (%s), and its key %q is good for it", a.op.ID, a.op.Client, refusal.Message, a.token))
	case err == nil && a.Denied:
		w.rec.violate("G10", "denied-and-answered", a.op.ID, fmt.Sprintf("#%d of %s came with the key %q, which may not do this, and is answered", a.op.ID, a.op.Client, a.token))
	}
}
