package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/sim/step"
)

// auditCapture fetches what the daemon has captured, and holds it to what the world knows: each
// request that it has is one that was made, answered as its client was told; none that this
// process answered is missing; and the judges find nothing in it that they do not find here.
func (w *World) auditCapture() {
	if !w.config.Capture || w.process == nil || w.machine.pristine != nil {
		return
	}
	c, err := w.issue(&step.Step{
		Verb: step.Call, Client: Observer, ID: w.network.nextID(),
		Method: "DumpCapture", Message: step.RawText(&pb.DumpCaptureRequest{Redaction: pb.Redaction_REDACTION_NONE}),
	})
	if err != nil {
		return
	}
	w.carryThrough(c)
	wrong := func(op int, format string, args ...any) {
		w.rec.violate("G9", "capture-differs", op, "the capture: "+fmt.Sprintf(format, args...))
	}
	if c.told != nil {
		if w.process != nil {
			wrong(c.op.ID, "it cannot be fetched: %v", c.told)
		}
		return
	}
	var text bytes.Buffer
	for _, raw := range c.received {
		var m pb.DumpCaptureResponse
		_ = proto.Unmarshal(raw, &m) // it was read before
		text.Write(m.GetData())
	}
	h, err := history.ReadHistory(&text)
	if err != nil {
		wrong(c.op.ID, "it cannot be read: %v", err)
		return
	}
	w.rec.probe("capture fetched")
	there, base := make(map[int]bool), uint64(0)
	if h.Header.Base != nil {
		base = h.Header.Base.CommitTS
	}
	for _, op := range h.Operations {
		made, copied := w.madeBy(op)
		if made == nil {
			wrong(0, "it has a %s of %s, which nobody made", op.Kind, op.Client)
			return
		}
		if there[made.op.ID] = true; !copied {
			if why := w.capturedOtherwise(op, made); why != "" {
				wrong(made.op.ID, "#%d %s of %s %s", made.op.ID, made.op.Kind, made.op.Client, why)
				return
			}
		}
	}
	for _, made := range w.network.order {
		if made.op.NewestCommit() <= base { // the ring may have gone round
			continue
		}
		if made.gen == w.process.generation && made.answered && made.op.Kind != "" && !there[made.op.ID] && made.op.Outcome == history.OK && made.request.recorded() {
			wrong(made.op.ID, "#%d %s of %s is missing", made.op.ID, made.op.Kind, made.op.Client)
			return
		}
	}
	if judged := linearizability.Check(h, linearizability.Options{Seed: w.seed, Samples: 2, SampleSize: 60}); len(judged.Violations) > 0 {
		v := judged.Violations[0]
		wrong(0, "judged, %s %s: %s (expected %s, got %s)", v.Guarantee, v.Check, v.Sentence, v.Expected, v.Got)
	}
}

// madeBy is the call that a captured operation is of. Of a request that arrived twice it is
// not known which.
func (w *World) madeBy(op *history.Operation) (c *Call, copied bool) {
	_, rest, _ := strings.Cut(op.Client, "#")
	number, _, _ := strings.Cut(rest, "/")
	id, _ := strconv.Atoi(number)
	c = w.network.calls[id]
	return c, c != nil && c.duplicated
}

// capturedOtherwise says in what a captured operation differs from the call; empty: in nothing.
func (w *World) capturedOtherwise(op *history.Operation, made *Call) string {
	if op.Kind != made.op.Kind {
		return fmt.Sprintf("is a %s there", op.Kind)
	}
	if !made.request.recorded() {
		if op.Outcome == history.OK {
			return "was accepted there"
		}
		return ""
	}
	if made.op.Outcome != history.OK {
		return "" // of what is refused a capture need not know which of two values was meant
	}
	if got, want := w.comparable(op.In), w.comparable(made.op.In); got != want {
		return fmt.Sprintf("asks %s there, and asked %s", got, want)
	}
	if made.Stream() {
		return ""
	}
	if op.Outcome != history.OK {
		return fmt.Sprintf("is %s there, and was ok", op.Outcome)
	}
	if got, want := w.comparable(op.Out), w.comparable(made.op.Out); got != want {
		return fmt.Sprintf("is answered %s there, and was answered %s", got, want)
	}
	return ""
}

// comparable is what was asked or answered with the names of transactions that the world has,
// and values in one form. Which operation a page continues has another number in a capture.
func (w *World) comparable(v any) string {
	var tree any
	text, err := json.Marshal(v)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		err = d.Decode(&tree)
	}
	if err != nil {
		return err.Error()
	}
	var walk func(x any)
	walk = func(x any) {
		switch x := x.(type) {
		case map[string]any:
			delete(x, "page_of")
			delete(x, "doubles")
			for k, y := range x { // each by itself: order cannot matter
				s, isText := y.(string)
				switch {
				case isText && k == "value":
					x[k] = history.Rounded(s)
				case isText && k == "txn":
					x[k] = w.names.fromWire(s)
				default:
					walk(y)
				}
			}
		case []any:
			for _, y := range x {
				walk(y)
			}
		}
	}
	walk(tree)
	out, err := json.Marshal(tree)
	if err != nil {
		return err.Error()
	}
	return string(out)
}
