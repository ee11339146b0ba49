package capture

import (
	"encoding/json"
	"fmt"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
)

// translator makes lines of frames.
type translator struct {
	t      *tape
	values valueReader
	pages  map[string]int      // by token: the operation whose answer it came with
	open   map[uint64]*running // streams, by id
}

// running is a stream on the tape.
type running struct {
	op     *history.Operation
	frames uint16 // that came
	broken bool   // one is missing: what comes after it says nothing
}

// maxPages bounds the tokens that are remembered.
const maxPages = 100_000

func newTranslator(t *tape, structText func(proto.Message) ([]byte, bool, error)) *translator {
	return &translator{t: t, values: valueReader{structText: structText}, pages: make(map[string]int), open: make(map[uint64]*running)}
}

// line is what a frame says as a line of a history, if it says anything of its own.
func (x *translator) line(f *frame) (l history.Line, ok bool, err error) {
	switch f.kind {
	case kindCall:
		l.Op, err = x.call(f)
		return l, l.Op != nil, err
	case kindOpen:
		l.Op, err = x.opened(f)
		return l, l.Op != nil, err
	case kindBatch:
		l.Batch, err = x.batch(f)
		return l, l.Batch != nil, err
	case kindNote:
		var n history.Note
		if err := json.Unmarshal(f.body, &n); err != nil {
			return l, false, err
		}
		n.Time += f.span.shift
		return history.Line{Note: &n}, true, nil
	}
	return l, false, nil
}

// operation is the operation that a request begins, and the page token it came with.
func (x *translator) operation(f *frame, rest *fields) (*history.Operation, string, error) {
	client := string(rest.next())
	method := record.Numbered(f.method())
	req := method.NewRequest()
	if err := proto.Unmarshal(rest.next(), req); err != nil || rest.bad {
		return nil, "", fmt.Errorf("the request of operation %d cannot be read: %v", f.id(), err)
	}
	if err := x.values.request(req); err != nil {
		return nil, "", nil // a value that is none: it was refused before anything looked at it
	}
	in, token := record.Input(method.Kind, req)
	op := &history.Operation{ID: int(f.id()), Client: client, Kind: method.Kind, Call: f.called(), In: in, Outcome: history.Unknown}
	return op, token, nil
}

func (x *translator) call(f *frame) (*history.Operation, error) {
	rest := &fields{b: f.body[fixed:]}
	op, token, err := x.operation(f, rest)
	if op == nil {
		return nil, err
	}
	op.Client = fmt.Sprintf("%s/%d", op.Client, f.lane()+1)
	if token != "" {
		if op.In.PageOf = x.pages[token]; op.In.PageOf == 0 {
			op.In.PageOf = history.PageMissing
		}
	}
	op.Return = f.ended()
	answer, refusal, err := readAnswer(rest.b, record.NewResponse(op.Kind))
	if err != nil {
		return nil, fmt.Errorf("the answer to operation %d cannot be read: %w", f.id(), err)
	}
	op.Outcome, op.Error = record.Outcome(refusal)
	if refusal == nil {
		if err := x.values.answer(answer); err != nil {
			return nil, fmt.Errorf("the answer to operation %d cannot be read: %w", f.id(), err)
		}
		var next string
		if op.Out, next = record.Output(op.Kind, &op.In, answer); next != "" {
			if len(x.pages) > maxPages {
				clear(x.pages)
			}
			// Equal tokens are of the same point and place. The first to give it out did
			// so before anybody went on from it.
			if _, given := x.pages[next]; !given {
				x.pages[next] = op.ID
			}
		}
	}
	return op, nil
}

// opened is a stream's line: how it ends is known from the index.
func (x *translator) opened(f *frame) (*history.Operation, error) {
	op, _, err := x.operation(f, &fields{b: f.body[fixed:]})
	if op == nil {
		return nil, err
	}
	op.Client += "/stream"
	x.open[f.id()] = &running{op: op, frames: 1}
	end, ended := x.t.ends[f.id()]
	if !ended {
		return op, nil
	}
	_, refusal, err := readAnswer(end.answer, nil)
	if err != nil {
		return nil, fmt.Errorf("the end of stream %d cannot be read: %w", f.id(), err)
	}
	op.Return = end.returned
	op.Outcome, op.Error = record.Outcome(refusal)
	if x.t.lost > 0 && op.Outcome == history.OK {
		op.Outcome = history.Unknown // a message of it may be among what is lost
	}
	return op, nil
}

func (x *translator) batch(f *frame) (*history.BatchOf, error) {
	s := x.open[f.id()]
	if s == nil || s.broken {
		return nil, nil // its beginning was dropped, or a message before this one
	}
	if s.broken = s.frames != f.lane(); s.broken {
		return nil, nil
	}
	s.frames++
	rest := &fields{b: f.body[fixed:]}
	m := record.Numbered(f.method()).NewAnswer()
	err := proto.Unmarshal(rest.next(), m)
	if err == nil {
		err = x.values.answer(m)
	}
	if err != nil || rest.bad {
		return nil, fmt.Errorf("a message of stream %d cannot be read: %v", f.id(), err)
	}
	return &history.BatchOf{Op: s.op.ID, Batch: record.Batch(f.ended(), m)}, nil
}

// readAnswer reads an answer into m, or the error that was answered instead.
func readAnswer(b []byte, m proto.Message) (answer proto.Message, refusal, err error) {
	if len(b) == 0 {
		return nil, nil, errTorn
	}
	rest := &fields{b: b[1:]}
	body := rest.next()
	if rest.bad {
		return nil, nil, errTorn
	}
	if b[0] == 1 {
		s := &spb.Status{}
		if err := proto.Unmarshal(body, s); err != nil {
			return nil, nil, err
		}
		return nil, status.ErrorProto(s), nil
	}
	if m == nil {
		return nil, nil, nil
	}
	return m, nil, proto.Unmarshal(body, m)
}
