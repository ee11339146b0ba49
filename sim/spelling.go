package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"statehouse.dev/statehouse/history"
)

// A value is kept as the text that was sent, down to the spelling of its numbers, and a reader
// of Structs is given its doubles, down to the sign of zero. The judges compare values as JSON,
// for histories whose values were rewritten on their way. In a world nothing rewrites them, so
// that texts can be compared: this is a check of the world.

// checkSpelling holds what the log has of a value to what was written, and what was read to
// the log.
func (w *World) checkSpelling() {
	h := &w.rec.history
	type version struct {
		history.Name
		number uint64
	}
	texts := make(map[version]string)
	sent := make(map[string][]*history.Operation) // by transaction
	for _, op := range h.Operations {
		if op.Kind == history.Transact || op.Kind == history.StageWrite {
			sent[op.In.TxnID] = append(sent[op.In.TxnID], op)
		}
	}
	for i := range h.Log {
		ev := &h.Log[i]
		for k := range ev.Ops {
			o := &ev.Ops[k]
			if o.Lease != nil || o.Due || o.Act != nil {
				continue // no value
			}
			if texts[version{o.Name, o.Version}] = o.Value; !o.Delete && !spelled(sent[ev.TxnID], o) {
				w.rec.violate("G2", "value-respelled", 0, fmt.Sprintf("commit %d has %s as the value of key %q, which nobody wrote so", ev.CommitTS, o.Value, o.Key))
				return
			}
		}
	}
	for _, op := range h.Operations {
		read := func(n history.Name, number uint64, shown string) {
			kept := texts[version{n, number}]
			if shown == kept || history.IsBytes(kept) || kept == "" || number == 0 || shown == "" || op.In.Doubles && doubles(shown) == doubles(kept) {
				return
			}
			w.rec.violate("G3", "value-respelled", op.ID, fmt.Sprintf("#%d %s of %s: it was shown %s as version %d of key %q, which is %s", op.ID, op.Kind, op.Client, shown, number, n.Key, kept))
		}
		for i := range op.Out.Records {
			read(op.Out.Records[i].Name, op.Out.Records[i].Version, op.Out.Records[i].Value)
		}
		for i := range op.Batches {
			for _, ev := range op.Batches[i].Events {
				for _, o := range ev.Ops {
					read(o.Name, o.Version, o.Value)
				}
			}
		}
	}
}

// spelled reports whether one of the requests wrote a value as the log has it.
func spelled(requests []*history.Operation, o *history.EventOp) bool {
	if len(requests) == 0 {
		return true // nobody asked for it, which is reported
	}
	same := func(in *history.Input, n history.Name, written string) bool {
		return n == o.Name && (written == o.Value || compact(written) == o.Value || in.Doubles && doubles(written) == doubles(o.Value))
	}
	for _, op := range requests {
		if same(&op.In, op.In.Name(), op.In.Value) {
			return true
		}
		for i := range op.In.Writes {
			w := &op.In.Writes[i]
			switch w.Op {
			case history.Append:
				if strings.HasPrefix(o.Key, w.Key) && same(&op.In, o.Name, w.Value) {
					return true
				}
			case history.Increment, history.Merge, history.Restore:
				if w.Name == o.Name || w.Op == history.Restore {
					return true // the daemon spells it
				}
			}
			if same(&op.In, w.Name, w.Value) {
				return true
			}
		}
	}
	return false
}

func compact(text string) string {
	var out bytes.Buffer
	if json.Compact(&out, []byte(text)) != nil {
		return text
	}
	return out.String()
}

// doubles is JSON as a reader of doubles has it, in one form.
func doubles(text string) string {
	var tree any
	if json.Unmarshal([]byte(text), &tree) != nil {
		return text
	}
	out, err := json.Marshal(tree)
	if err != nil {
		return text
	}
	return string(out)
}
