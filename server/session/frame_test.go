package session

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// read takes a frame apart.
func read(frame []byte) (list []entry, err error) {
	for rest := frame; ; {
		e, after, more, err := cutEntry(rest)
		if err != nil || !more {
			return list, err
		}
		list, rest = append(list, e), after
	}
}

// FuzzFrame holds the frames to what the generated code makes of the same bytes: what is
// refused, and what is in the others.
func FuzzFrame(f *testing.F) {
	for _, m := range []*pb.SessionRequests{
		{}, {Requests: []*pb.SessionRequest{{}}},
		{Requests: []*pb.SessionRequest{{Id: 1, Method: "GetState", Request: []byte{8, 1}, TimeoutUs: 1 << 40}, {Id: 1 << 63, Cancel: true}}},
	} {
		raw, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		f.Add(append(raw, 0x12, 0, 0x0a, 2, 0x18, 1))
		f.Add(append(raw, 0x0a, 4, 0x12, 2, 0xff, 0xff))
	}
	for _, raw := range [][]byte{{0xff}, {0x0a, 5, 'x'}, {0x0b, 0x0c}, {0x0a, 3, 0x08, 1, 0x08}, {0x0a, 4, 0x08, 1, 0x08, 2}, {0x08, 1}, {0x0a, 3, 0x0a, 1, 'x'}, []byte("\n\x17002\b0000000000 0 \x80\x80\x80\x80\x800\n\r 0\x80\x80\x80\x800\x80\x80\x80000")} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var want pb.SessionRequests
		refused := proto.Unmarshal(raw, &want)
		got, err := read(raw)
		if (err == nil) != (refused == nil) {
			t.Fatalf("%x: %v, the generated code says %v", raw, err, refused)
		}
		if err != nil {
			return
		}
		if len(got) != len(want.Requests) {
			t.Fatalf("%x: %d requests, want %d", raw, len(got), len(want.Requests))
		}
		for i, e := range got {
			w := want.Requests[i]
			if e.id != w.Id || string(e.method) != w.Method || !bytes.Equal(e.body, w.Request) || e.timeout != w.TimeoutUs || e.cancel != w.Cancel {
				t.Fatalf("%x: request %d is %+v, want %v", raw, i, e, w)
			}
		}
	})
}

// said is an answer that is there.
type said struct {
	text     []byte
	refused  bool
	released *int
}

func (s said) Size() int                       { return len(s.text) }
func (s said) Append(b []byte) ([]byte, error) { return append(b, s.text...), nil }
func (s said) Refused() bool                   { return s.refused }
func (s said) Release()                        { *s.released++ }

// FuzzAnswers: the generated code reads what is sent, and each answer is released once.
func FuzzAnswers(f *testing.F) {
	f.Add(uint64(1), []byte("x"), uint64(1<<63), []byte{}, true)
	f.Add(uint64(0), bytes.Repeat([]byte("x"), 70_000), uint64(7), []byte{8, 1}, false)
	f.Fuzz(func(t *testing.T, id1 uint64, text1 []byte, id2 uint64, text2 []byte, refused bool) {
		released := 0
		batch := []answer{
			{&Request{id: id1}, said{text1, false, &released}, len(text1)},
			{&Request{id: id2}, said{text2, refused, &released}, len(text2)},
		}
		o, err := encode(batch, len(text1)+len(text2)+3*mostHead, 7)
		if err != nil {
			t.Fatal(err)
		}
		var got pb.SessionAnswers
		if err := proto.Unmarshal(*o.bytes, &got); err != nil || len(got.Answers) != 2 || got.Window != 7 {
			t.Fatalf("%v %v", &got, err)
		}
		a, b := got.Answers[0], got.Answers[1]
		if a.Id != id1 || !bytes.Equal(a.Answer, text1) || a.Status != nil || b.Id != id2 || refused && !bytes.Equal(b.Status, text2) || !refused && !bytes.Equal(b.Answer, text2) {
			t.Fatalf("%v", &got)
		}
		data := mem.NewBuffer(o.bytes, o)
		if data.Free(); released != 2 {
			t.Fatalf("%d released", released)
		}
	})
}
