package web

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// stillThere is how often a stream without events says that it is there: a proxy or a client that
// hears nothing for long takes it for dead.
const stillThere = 15 * time.Second

// watch is Watch as server-sent events.
func (f *Front) watch(w http.ResponseWriter, r *http.Request) {
	request := new(pb.WatchRequest)
	seen, ok := f.asked(w, r, request)
	if !ok {
		return
	}
	if seen != nil {
		request.AfterTs, request.Epoch = &seen.ts, seen.epoch
	}
	s := newEvents(w, &request.Encoding)
	s.from(seen)
	ctx, stop := context.WithCancel(r.Context())
	var saying sync.WaitGroup
	saying.Go(func() { s.stillThere(ctx) })
	defer saying.Wait() // nothing may be written after this has returned
	defer stop()
	s.end(f.ask(r, pb.StatehouseService_Watch_FullMethodName, request, s.batch))
}

// replay is ReplayBatches as server-sent events. When all have been sent it says so, since a browser
// connects again whenever a stream ends: what asks for the rest of nothing is answered 204, which
// tells a browser to stop.
func (f *Front) replay(w http.ResponseWriter, r *http.Request) {
	request := new(pb.ReplayRequest)
	seen, ok := f.asked(w, r, request)
	if !ok {
		return
	}
	if seen != nil {
		next := seen.ts + 1
		request.StartTs, request.Epoch = &next, seen.epoch
	}
	s := newEvents(w, &request.Encoding)
	s.from(seen)
	st := f.ask(r, pb.StatehouseService_ReplayBatches_FullMethodName, request, s.batch)
	switch {
	case st.Code() != codes.OK:
		s.end(st)
	case seen != nil && !s.begun:
		w.WriteHeader(http.StatusNoContent)
	default:
		_ = s.send("event: end\ndata: {}\n\n")
	}
}

// asked reads a request from the query, and where it is to go on from Last-Event-ID.
func (f *Front) asked(w http.ResponseWriter, r *http.Request, request proto.Message) (*place, bool) {
	if err := fill(request, r.URL.Query()); err != nil {
		fail(w, http.StatusBadRequest, codes.InvalidArgument, err.Error())
		return nil, false
	}
	id := r.Header.Get("Last-Event-ID")
	if id == "" {
		return nil, true
	}
	seen, err := parsePlace(id)
	if err != nil {
		fail(w, http.StatusBadRequest, codes.InvalidArgument, err.Error())
		return nil, false
	}
	return seen, true
}

// place is where in the log a client is: a commit_ts, and the epoch in which it means what it
// meant. Its text is the id of an event, "7@EPOCH". The epoch may be left out.
type place struct {
	ts    uint64
	epoch string
}

func (p place) String() string {
	if p.epoch == "" {
		return strconv.FormatUint(p.ts, 10)
	}
	return fmt.Sprintf("%d@%s", p.ts, p.epoch)
}

func parsePlace(text string) (*place, error) {
	ts, epoch, _ := strings.Cut(text, "@")
	n, err := strconv.ParseUint(ts, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("the Last-Event-ID %q is not one of this daemon: it is a commit_ts, and @ with an epoch", clip(text))
	}
	return &place{n, epoch}, nil
}

// events is a stream of them to a client.
type events struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	plain bool // values are text, to be put where Structs are

	mu    sync.Mutex // stillThere sends, too
	begun bool
	at    place
}

// newEvents is a stream whose values are in the encoding asked for: text in place of Structs, see exact.go.
func newEvents(w http.ResponseWriter, asked *pb.ValueEncoding) *events {
	plain := *asked == pb.ValueEncoding_VALUE_ENCODING_STRUCT
	if plain {
		*asked = pb.ValueEncoding_VALUE_ENCODING_JSON
	}
	return &events{w: w, rc: http.NewResponseController(w), plain: plain}
}

// data is an event as JSON on one line.
func (s *events) data(e *pb.ReplayEvent) ([]byte, error) {
	if !s.plain {
		return jsonOf(e), nil
	}
	return exact(e.ProtoReflect().Descriptor(), jsonOf(e))
}

func (s *events) from(seen *place) {
	if seen != nil {
		s.at = *seen
	}
}

// send sends text, after the header if it is the first.
func (s *events) send(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", "text/event-stream")
		s.w.Header().Set("X-Accel-Buffering", "no") // a proxy that waits for more would keep what there is
		s.w.WriteHeader(http.StatusOK)
		text = "retry: 2000\n\n" + text
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.rc.Flush()
}

// batch sends an EventBatch, each event with where it is. A cursor past the last event is an id
// without an event: a client keeps it all the same.
func (s *events) batch(message []byte) error {
	var b pb.EventBatch
	if err := proto.Unmarshal(message, &b); err != nil {
		return err
	}
	if b.GetEpoch() != "" {
		s.at.epoch = b.GetEpoch()
	}
	var text strings.Builder
	for _, e := range b.GetEvents() {
		s.at.ts = e.GetCommitTs()
		data, err := s.data(e)
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "id: %s\nevent: commit\ndata: %s\n\n", s.at, data)
	}
	if b.GetCursor() > s.at.ts {
		s.at.ts = b.GetCursor()
		fmt.Fprintf(&text, "id: %s\n\n", s.at)
	}
	return s.send(text.String())
}

// stillThere sends comments, until ctx ends. The first begins the answer of a watch to which
// nothing happens.
func (s *events) stillThere(ctx context.Context) {
	tick := time.NewTicker(stillThere)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if s.send(":\n\n") != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// end says why there is no more: with a status, if nothing was sent before.
func (s *events) end(st *status.Status) {
	s.mu.Lock()
	begun := s.begun
	s.begun = true // a comment after it would be none
	s.mu.Unlock()
	if !begun {
		failed(s.w, st)
		return
	}
	_ = s.send(fmt.Sprintf("event: problem\ndata: %s\n\n", of(st).text()))
}
