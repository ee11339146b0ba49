package engine

import (
	"strings"
	"time"

	"statehouse.dev/statehouse/engine/layout"
)

// What is ready is found by how long it has been: of an agent, and of a namespace. Two rows of a
// wake-up stand in the place of a timer, since nothing becomes of it by itself:
//
//	w a namespace agent time key         -> kind, version
//	w n namespace time 'a' agent key     -> kind, version
const readyTag = 'w'

const (
	readyOfAgent     = 'a'
	readyOfNamespace = 'n'
)

// places are the keys of the rows that a hold is found by.
func placesOf(h *layout.Hold, prefix string) [][]byte {
	if h.Kind != layout.CauseReady {
		return [][]byte{layout.AppendTimerKey(nil, h.Deadline, prefix)}
	}
	n, ok := layout.SplitPrefix(prefix)
	assertf(ok, "%q is no prefix of a record", prefix)
	ofAgent := layout.AppendTime(appendReady(nil, n.Namespace, n.Agent), h.Deadline)
	ofNamespace := layout.AppendTime(appendReady(nil, n.Namespace, ""), h.Deadline)
	return [][]byte{append(ofAgent, n.Key...), append(layout.AppendNames(ofNamespace, layout.AgentTag, n.Agent), n.Key...)}
}

// appendReady appends what the keys of what is ready begin with: of an agent, or without one of a
// namespace.
func appendReady(dst []byte, namespace, agent string) []byte {
	if dst = append(dst, readyTag); agent != "" {
		return layout.AppendNames(dst, readyOfAgent, namespace, agent)
	}
	return layout.AppendNames(dst, readyOfNamespace, namespace)
}

func splitReady(key []byte) (n RecordName, at time.Time, ok bool) {
	if len(key) < 2 || key[0] != readyTag {
		return n, at, false
	}
	var rest []byte
	if key[1] == readyOfAgent {
		rest, ok = layout.SplitNames(key[1:], readyOfAgent, &n.Namespace, &n.Agent)
	} else {
		rest, ok = layout.SplitNames(key[1:], readyOfNamespace, &n.Namespace)
	}
	if !ok || len(rest) < layout.NumberSize {
		return n, at, false
	}
	d := layout.Decoder{Rest: rest[:layout.NumberSize]}
	at, rest = d.Time(), rest[layout.NumberSize:]
	if key[1] == readyOfNamespace {
		if rest, ok = layout.SplitNames(rest, layout.AgentTag, &n.Agent); !ok {
			return n, at, false
		}
	}
	n.Key = string(rest)
	return n, at, isWake(n.Key)
}

// ready visits the wake-ups of an agent, or without one of a namespace, that the store has as ready,
// until visit returns false.
func (s dbState) ready(namespace, agent string, visit func(RecordName) bool) error {
	prefix := appendReady(nil, namespace, agent)
	it, err := newRowIter(s.r, prefix, layout.Successor(prefix))
	if err != nil {
		return err
	}
	for ok := it.first(); ok; ok = it.next() {
		n, _, good := splitReady(it.key())
		if !good {
			it.corrupt()
			break
		}
		if !visit(n) {
			break
		}
	}
	return it.close()
}

// ready visits the wake-ups that are ready, of records whose keys begin with that of within, until visit
// returns false: first those that the store has, then what this step has made ready. It looks at no
// more than a transaction may change twice.
func (pl *planner) ready(within RecordName, visit func(RecordName) (bool, error)) (err error) {
	looked, found, more := 0, false, true
	most := 2 * pl.limits.TxnOps
	look := func(n RecordName) bool {
		_, key := SplitHidden(n.Key)
		if looked++; strings.HasPrefix(key, within.Key) {
			found = true
			more, err = visit(n)
		}
		return more && err == nil && looked <= most
	}
	failed := pl.state.ready(within.Namespace, within.Agent, func(n RecordName) bool {
		if pl.plannedOp(string(layout.RecordPrefix(n))) != nil {
			return true // the step has changed it
		}
		return look(n)
	})
	if failed != nil {
		return failed
	}
	for _, c := range pl.step {
		for i := range c.p.agents {
			part := &c.p.agents[i]
			if part.agent.Namespace != within.Namespace || within.Agent != "" && part.agent.Agent != within.Agent {
				continue
			}
			for j := 0; more && err == nil && looked <= most && j < len(part.ops); j++ {
				op := &part.ops[j]
				if op.Held.Kind == layout.CauseReady && pl.plannedOp(op.prefix) == op {
					look(RecordName{Namespace: part.agent.Namespace, Agent: part.agent.Agent, Key: op.Key})
				}
			}
		}
	}
	pl.evaluated.keys += looked
	if err == nil && looked > most && !found {
		return tooManyKeys(&askedOp{name: within}, "due records that a claim looks at", most)
	}
	return err
}
