package engine

import (
	"strings"
	"time"
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
func (h *hold) places(prefix string) [][]byte {
	if h.kind != causeReady {
		return [][]byte{appendTimerKey(nil, h.deadline, prefix)}
	}
	n, ok := splitPrefix(prefix)
	assertf(ok, "%q is no prefix of a record", prefix)
	ofAgent := appendTime(appendReady(nil, n.Namespace, n.Agent), h.deadline)
	ofNamespace := appendTime(appendReady(nil, n.Namespace, ""), h.deadline)
	return [][]byte{append(ofAgent, n.Key...), append(appendNames(ofNamespace, agentTag, n.Agent), n.Key...)}
}

// appendReady appends what the keys of what is ready begin with: of an agent, or without one of a
// namespace.
func appendReady(dst []byte, namespace, agent string) []byte {
	if dst = append(dst, readyTag); agent != "" {
		return appendNames(dst, readyOfAgent, namespace, agent)
	}
	return appendNames(dst, readyOfNamespace, namespace)
}

func splitReady(key []byte) (n RecordName, at time.Time, ok bool) {
	if len(key) < 2 || key[0] != readyTag {
		return n, at, false
	}
	var rest []byte
	if key[1] == readyOfAgent {
		rest, ok = splitNames(key[1:], readyOfAgent, &n.Namespace, &n.Agent)
	} else {
		rest, ok = splitNames(key[1:], readyOfNamespace, &n.Namespace)
	}
	if !ok || len(rest) < numberSize {
		return n, at, false
	}
	d := decoder{rest: rest[:numberSize]}
	at, rest = d.time(), rest[numberSize:]
	if key[1] == readyOfNamespace {
		if rest, ok = splitNames(rest, agentTag, &n.Agent); !ok {
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
	it, err := newRowIter(s.r, prefix, successor(prefix))
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
		if pl.plannedOp(string(recordPrefix(n))) != nil {
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
				if op.held.kind == causeReady && pl.plannedOp(op.prefix) == op {
					look(RecordName{Namespace: part.agent.Namespace, Agent: part.agent.Agent, Key: op.key})
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
