package engine

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"time"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// A lease lets one worker at a time act for an agent. It is a hidden record: it is held while the
// record exists, and its fencing token is the record's version, which rises with every acquisition
// and never falls, whatever becomes of the lease. Who holds it is for people; the token is what
// counts. It ends by a release, by the daemon's own commit when it was not renewed in time
// (timers.go), and by nothing else: until then its token is good, and after that it is refused.

// Bounds of how long a lease is held without a renewal.
const (
	MinLeaseTTL = 100 * time.Millisecond
	MaxLeaseTTL = 30 * 24 * time.Hour

	MaxHolderBytes = 256
)

// Acquire takes the lease that the key of its write names, if it is not held, by whomever. Error:
// ErrLeaseHeld. The version of its result is the token.
type Acquire struct {
	Holder string // for people
	TTL    time.Duration
}

// Release gives up the lease that the key of its write names. Error: ErrLeaseLost, if it is not held
// under the token.
type Release struct{ Token Version }

// LeasePrecondition holds when the lease is held under the token.
type LeasePrecondition struct {
	Agent AgentName
	Lease string
	Token Version
}

// leaseValue is the value of a lease's record.
type leaseValue struct {
	Holder string `json:"holder"`
	TTL    int64  `json:"ttl_ms"`
}

func (v leaseValue) text() []byte {
	text, err := json.Marshal(v)
	assertf(err == nil, "a lease has no text: %v", err)
	return text
}

// LeaseOf returns what the value of a lease's record says of it: who holds it, and how long without
// a renewal.
func LeaseOf(value []byte) (holder string, ttl time.Duration) {
	v := parseLease(value)
	return v.Holder, time.Duration(v.TTL) * time.Millisecond
}

func parseLease(text []byte) (v leaseValue) {
	_ = json.Unmarshal(text, &v) // an erased one has none
	return v
}

// leaseRecord makes the name of a lease that of its record.
func leaseRecord(n *RecordName) error {
	agent := n.AgentName()
	if err := agent.Normalize(); err != nil {
		return err
	}
	if key, claim := strings.CutPrefix(n.Key, claimPrefix); claim {
		n.Namespace, n.Key = agent.Namespace, key
		err := n.Normalize()
		*n = wakeOf(*n)
		return err
	}
	if err := words.CheckName("lease", n.Key, MaxLeaseBytes); err != nil {
		return err
	}
	n.Namespace, n.Key = agent.Namespace, leaseKey(n.Key)
	return nil
}

// record is the name of the lease's record.
func (p *LeasePrecondition) record() (KeyPrecondition, error) {
	if p.Token == 0 {
		return KeyPrecondition{}, words.Failf(ErrInvalid, "a lease is required under a token, which is above 0").With("field", "expected_version")
	}
	n := RecordName{Namespace: p.Agent.Namespace, Agent: p.Agent.Agent, Key: p.Lease}
	err := leaseRecord(&n)
	return KeyPrecondition{Name: n, Expected: p.Token}, err
}

func checkLeaseTTL(ttl time.Duration) error {
	if ttl < MinLeaseTTL || ttl > MaxLeaseTTL {
		return words.Failf(ErrInvalid, "a lease is held for %v to %v, not %v", MinLeaseTTL, MaxLeaseTTL, ttl).With("field", "ttl_ms")
	}
	return nil
}

// checkLeaseOp checks what the operations on leases have in common.
func checkLeaseOp(w *Write) error {
	if w.Expected != nil {
		return words.Failf(ErrInvalid, "an operation on a lease has no expected version").With("field", "expected_version")
	}
	return leaseRecord(&w.Name)
}

func (Acquire) hasValue() bool { return false }
func (Release) hasValue() bool { return false }

func (a Acquire) check(w *Write, _ *Limits) (Evaluation, error) {
	if len(a.Holder) > MaxHolderBytes {
		return nil, words.Failf(ErrInvalid, "the holder is %d bytes long, more than %d", len(a.Holder), MaxHolderBytes).With("field", "holder")
	}
	if err := words.CheckText("holder", a.Holder); err != nil {
		return nil, err
	}
	if err := checkLeaseTTL(a.TTL); err != nil {
		return nil, err
	}
	if strings.HasPrefix(w.Name.Key, claimPrefix) {
		return nil, words.Failf(ErrInvalid, "the lease %q is one of a claim, and cannot be acquired", w.Name.Key).With("field", "key")
	}
	return a, checkLeaseOp(w)
}

func (r Release) check(w *Write, _ *Limits) (Evaluation, error) {
	if r.Token == 0 {
		return nil, words.Failf(ErrInvalid, "a lease is released under its token, which is above 0").With("field", "token")
	}
	return r, checkLeaseOp(w)
}

func (a Acquire) fingerprint(b []byte) []byte {
	return layout.AppendString(binary.AppendUvarint(append(b, 'l'), uint64(a.TTL)), a.Holder)
}

func (r Release) fingerprint(b []byte) []byte {
	return binary.AppendUvarint(append(b, 'u'), uint64(r.Token))
}

func (a Acquire) evaluate(v *evaluation, op *askedOp) error {
	was, err := v.record(op.name, op.prefix)
	if err != nil {
		return err
	}
	if was.exists {
		return v.leaseHeld(op, &was)
	}
	return v.acquire(op.name, a)
}

// acquire makes a lease's record. It is not held.
func (v *evaluation) acquire(name RecordName, a Acquire) error {
	agent := name.AgentName()
	held, err := v.pl.leasesOf(agent)
	if err != nil {
		return err
	}
	if held += v.leases[agent]; held >= v.pl.limits.AgentLeases {
		return onKey(evaluationLimit("leases of the agent", held+1, v.pl.limits.AgentLeases), name)
	}
	if v.leases == nil {
		v.leases = make(map[AgentName]int, 1)
	}
	v.leases[agent]++
	w := partOp{value: leaseValue{a.Holder, a.TTL.Milliseconds()}.text()}
	w.Held = layout.RecordHold{Kind: CauseLapsed, TTL: a.TTL}
	v.set(name, w)
	return nil
}

// leaseHeld refuses to acquire a lease.
func (v *evaluation) leaseHeld(op *askedOp, was *seen) error {
	_, name := SplitHidden(op.name.Key)
	value := parseLease(was.value)
	f := words.Failf(ErrLeaseHeld, "the lease %q of agent %q is held by %q: wait until it is released or lapses", name, op.name.Agent, value.Holder).
		With("namespace", op.name.Namespace).With("agent_id", op.name.Agent).With("lease", name).With("holder", value.Holder)
	if was.keyHead.exists() {
		h, err := v.pl.hold(op.prefix, was.keyHead)
		if err != nil {
			return err
		}
		f = f.With("token", h.Version.String()).With("deadline", h.Deadline.UTC().Format(time.RFC3339Nano))
	}
	return f
}

func (r Release) evaluate(v *evaluation, op *askedOp) error {
	was, err := v.heldLease(op, r.Token)
	if err != nil {
		return err
	}
	if isWake(op.name.Key) {
		v.set(op.name, readyOf(was.value))
	} else {
		v.remove(op.name)
	}
	return nil
}

// heldLease looks at a lease that must be held under a token.
func (v *evaluation) heldLease(op *askedOp, token Version) (seen, error) {
	was, err := v.record(op.name, op.prefix)
	if err != nil {
		return was, err
	}
	// One that was taken in the same request has no token yet that anybody could know.
	if own := v.find(op.name.AgentName(), op.prefix); own != nil || !was.keyHead.heldUnder(token) {
		return was, leaseLost(op.name, token, was.keyHead)
	}
	return was, nil
}

// heldUnder reports whether a lease, whose record it is of, is held under a token.
func (h keyHead) heldUnder(token Version) bool {
	return h.exists() && h.version == token && h.held == CauseLapsed
}

// leaseLost refuses what requires a lease.
func leaseLost(name RecordName, token Version, now keyHead) *Failure {
	kind, lease := SplitHidden(name.Key)
	if kind == HiddenDue {
		lease = claimPrefix + lease
	}
	f := words.Failf(ErrLeaseLost, "the lease %q of agent %q is not held under token %d: it has lapsed, was released, or another holds it", lease, name.Agent, token).
		With("namespace", name.Namespace).With("agent_id", name.Agent).With("lease", lease).With("token", token.String())
	if now.exists() && now.held == CauseLapsed {
		f = f.With("current_token", now.version.String())
	}
	return f
}

func (a Acquire) result(r *results, op *askedOp) (OpResult, error) {
	one := r.of(op.name)
	one.Acquired = &a
	return one, nil
}

func (Release) result(r *results, op *askedOp) (OpResult, error) { return r.of(op.name), nil }

// leasesOf counts the leases that are held of an agent.
func (pl *planner) leasesOf(a AgentName) (int, error) {
	if n, found := pl.leases.get(a); found {
		return n, nil
	}
	n, err := pl.state.leases(a)
	if err != nil {
		return 0, err
	}
	for _, c := range pl.step { // which the store does not have
		for i := range c.p.agents {
			if part := &c.p.agents[i]; part.agent == a {
				n += part.leases
			}
		}
	}
	pl.leases.put(a, n)
	return n, nil
}

// countLeases keeps the counts current after a part was planned.
func (pl *planner) countLeases(part *agentPart) {
	if part.leases == 0 {
		return
	}
	if n, found := pl.leases.get(part.agent); found {
		pl.leases.put(part.agent, n+part.leases)
	}
}
