package edn

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"olympos.io/encoding/edn"

	"statehouse.dev/statehouse/history"
)

// Read reads a history that Write wrote, or a Jepsen test of Statehouse: invocations whose
// :f is a kind of operation and whose :value is what was asked (linearizability.Input), completions by the
// same :process with what was answered (linearizability.Output) or why not (:error, linearizability.Refusal). An
// operation that ends with :info, or not at all, is unknown. Unknown fields are errors.
func Read(in io.Reader) (*history.History, error) {
	r := &reader{
		h:    &history.History{Header: history.Header{Format: history.Format, Version: history.Version, Source: history.SourceClient, Unit: "ns"}},
		open: make(map[string]*history.Operation), byID: make(map[int]*history.Operation),
	}
	d := edn.NewDecoder(bufio.NewReader(&shallow{in: in}))
	for n := 1; ; n++ {
		var form any
		err := d.Decode(&form)
		if err == io.EOF {
			break
		}
		if err == nil {
			err = r.form(form)
		}
		if err != nil {
			return nil, fmt.Errorf("form %d: %w", n, err)
		}
	}
	return r.history()
}

type reader struct {
	h    *history.History
	open map[string]*history.Operation // by process
	byID map[int]*history.Operation
	last int
}

// history is what was read, in the order and with the checks of any other.
func (r *reader) history() (*history.History, error) {
	var b bytes.Buffer
	if err := r.h.Write(&b); err != nil {
		return nil, err
	}
	return history.ReadHistory(&b)
}

// form takes one, or a vector of them, as some write a history.
func (r *reader) form(form any) error {
	switch f := form.(type) {
	case edn.Tag: // such as #jepsen.history.Op
		return r.form(f.Value)
	case []any:
		for i, one := range f {
			if err := r.form(one); err != nil {
				return fmt.Errorf("element %d: %w", i+1, err)
			}
		}
		return nil
	case map[any]any:
		m, err := toJSON(f)
		if err != nil {
			return err
		}
		return r.take(m.(map[string]any))
	}
	return fmt.Errorf("%s is no invocation or completion, which are maps such as {:process 0, :type :invoke, :f :get, :time 10, :value {…}}", inWords(form))
}

// op is a map of the history.
type op struct {
	Index   json.Number     `json:"index"`
	Time    *int64          `json:"time"`
	Type    string          `json:"type"`
	Process any             `json:"process"`
	F       string          `json:"f"`
	Value   json.RawMessage `json:"value"`
	Error   json.RawMessage `json:"error"`
	Client  string          `json:"client"`
	ID      int             `json:"id"`
	Rest    uint64          `json:"rest"`
	// What Jepsen adds when a client throws.
	Exception json.RawMessage `json:"exception"`
}

func (r *reader) take(m map[string]any) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	var o op
	if err := strict(raw, &o); err != nil {
		return err
	}
	process := fmt.Sprint(o.Process)
	switch {
	case o.Type != "invoke" && o.Type != "ok" && o.Type != "fail" && o.Type != "info":
		return fmt.Errorf(":type is %q, and not :invoke, :ok, :fail or :info", o.Type)
	case o.Time == nil:
		return errors.New("it has no :time, in nanoseconds since the test began")
	case o.Process == nil:
		return errors.New("it has no :process")
	case process == "nemesis":
		return r.aside(&o)
	case o.Type == "invoke":
		return r.invoke(&o, process)
	}
	return r.complete(&o, process)
}

func (r *reader) invoke(o *op, process string) error {
	if r.open[process] != nil {
		return fmt.Errorf("process %s invokes :%s before its :%s completed", process, o.F, r.open[process].Kind)
	}
	a := &history.Operation{ID: o.ID, Client: o.Client, Kind: history.Kind(o.F), Call: *o.Time, Outcome: history.Unknown, Rest: o.Rest}
	if a.ID == 0 {
		a.ID = r.last + 1
	}
	if a.Client == "" {
		a.Client = "p" + process
	}
	if r.byID[a.ID] != nil {
		return fmt.Errorf("there are two operations %d", a.ID)
	}
	if err := into(o.Value, &a.In, "the :value of :"+o.F); err != nil {
		return err
	}
	r.last = max(r.last, a.ID)
	r.open[process], r.byID[a.ID] = a, a
	r.h.Operations = append(r.h.Operations, a)
	return nil
}

func (r *reader) complete(o *op, process string) error {
	a := r.open[process]
	if a == nil {
		return fmt.Errorf("process %s completes :%s, which it did not invoke", process, o.F)
	}
	if a.Kind != history.Kind(o.F) {
		return fmt.Errorf("process %s completes :%s, and invoked :%s", process, o.F, a.Kind)
	}
	delete(r.open, process)
	switch o.Type {
	case "ok":
		a.Outcome, a.Return = history.OK, *o.Time
		return into(o.Value, &a.Out, "the :value of an answered :"+o.F)
	case "fail":
		a.Outcome, a.Return = history.Fail, *o.Time
		if err := into(o.Error, &a.Error, `the :error of a failed operation, such as {:code "CONFLICT"},`); err != nil {
			return err
		}
		if a.Error == nil || a.Error.Code == "" {
			return errors.New(`it failed, and has no :error, such as {:code "CONFLICT"}: without a refusal it is :info`)
		}
		return nil
	}
	if len(o.Error) > 0 && o.Error[0] == '{' { // a refusal that leaves it open; else whatever the client caught
		if *o.Time > a.Call {
			a.Return = *o.Time
		}
		return into(o.Error, &a.Error, "the :error of :"+o.F)
	}
	return nil
}

// aside takes what is not an operation. What a nemesis does is a note.
func (r *reader) aside(o *op) error {
	h, what := r.h, "the :value of :"+o.F
	switch o.F {
	case "header":
		h.Header = history.Header{}
		return into(o.Value, &h.Header, what)
	case "record", "agent":
		if h.Header.Base == nil {
			return errors.New("there is state of a base, and the header has none")
		}
		if o.F == "agent" {
			return appendTo(&h.Header.Base.Agents, o.Value, what)
		}
		return appendTo(&h.Header.Base.Records, o.Value, what)
	case "batch":
		var b history.BatchOf
		if err := into(o.Value, &b, what); err != nil {
			return err
		}
		a := r.byID[b.Op]
		if a == nil {
			return fmt.Errorf("there is a batch of operation %d, which does not come before it", b.Op)
		}
		a.Batches = append(a.Batches, b.Batch)
		return nil
	case "event":
		return appendTo(&h.Log, o.Value, what)
	case "note":
		return appendTo(&h.Notes, o.Value, what)
	case "gap":
		return appendTo(&h.Gaps, o.Value, what)
	case "end":
		var end history.End
		err := into(o.Value, &end, what)
		h.Complete = end.Complete
		return err
	}
	h.Notes = append(h.Notes, history.Note{Time: *o.Time, Lane: "nemesis", Kind: o.F, Text: string(o.Value)})
	return nil
}

func appendTo[T any](list *[]T, raw json.RawMessage, what string) error {
	var one T
	err := into(raw, &one, what)
	*list = append(*list, one)
	return err
}

// into decodes what may be missing.
func into(raw json.RawMessage, v any, what string) error {
	if len(raw) == 0 {
		return nil
	}
	if err := strict(raw, v); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func strict(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return history.InWords(err)
	}
	return nil
}

// inWords says what a form is.
func inWords(form any) string {
	switch form.(type) {
	case nil:
		return "nil"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case edn.Symbol:
		return "a symbol"
	case edn.Keyword:
		return "a keyword"
	case map[any]bool:
		return "a set"
	case edn.Rune, rune:
		return "a character"
	}
	return "a number"
}
