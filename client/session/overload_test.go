package session_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/client/session"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// slow takes one request at a time, and answers it when it is told to. Each answer says window.
type slow struct {
	came   chan string
	answer chan struct{}
	window uint32
}

func (s *slow) serve(t *testing.T) func(pb.StatehouseService_SessionServer) error {
	return func(stream pb.StatehouseService_SessionServer) error {
		for {
			m, err := stream.Recv()
			if err != nil {
				return nil
			}
			for _, r := range m.GetRequests() {
				if r.GetCancel() {
					continue
				}
				s.came <- keyOf(t, r)
				<-s.answer
				if err := stream.Send(&pb.SessionAnswers{Answers: []*pb.SessionAnswer{answerTo(r, "v")}, Window: s.window}); err != nil {
					return nil
				}
			}
		}
	}
}

// clock is the time by which requests wait.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// While requests wait for less than a quarter of their time they go in order. Then those who have
// waited longer are refused, as not applied and with a hint when to come back, and the newest is next.
func TestOverloadedLine(t *testing.T) {
	s := &slow{came: make(chan string), answer: make(chan struct{})}
	d := &daemon{serve: s.serve(t)}
	now := &clock{now: time.Now()}
	_, c := connect(t, d, session.Options{Requests: 1, Now: now.Now})
	var all sync.WaitGroup
	var mu sync.Mutex
	ended := map[string]error{}
	ask := func(key string, within time.Duration) {
		all.Go(func() {
			ctx, cancel := context.Background(), func() {}
			if within > 0 {
				ctx, cancel = context.WithDeadline(ctx, now.Now().Add(within))
			}
			defer cancel()
			_, err := get(ctx, c, key)
			mu.Lock()
			defer mu.Unlock()
			ended[key] = err
		})
		time.Sleep(20 * time.Millisecond) // so that they join in this order
	}
	ask("first", 0)
	order := []string{<-s.came}
	for _, key := range []string{"a", "b", "c"} {
		ask(key, time.Hour)
	}
	s.answer <- struct{}{}
	order = append(order, <-s.came) // a: no one has waited
	now.pass(20 * time.Minute)      // b and c have waited for a third of theirs
	for i := range 3 {
		ask(fmt.Sprint("new", i), time.Hour)
	}
	for range 3 {
		s.answer <- struct{}{}
		order = append(order, <-s.came)
	}
	s.answer <- struct{}{}
	all.Wait()
	if want := []string{"first", "a", "new2", "new1", "new0"}; !slices.Equal(order, want) {
		t.Errorf("sent in the order %v, want %v", order, want)
	}
	for _, key := range []string{"b", "c"} {
		st := status.Convert(ended[key])
		var detail *pb.StatehouseError
		for _, d := range st.Details() {
			if e, is := d.(*pb.StatehouseError); is {
				detail = e
			}
		}
		if st.Code() != codes.ResourceExhausted || detail.GetCode() != pb.ErrorCode_OVERLOADED || detail.GetMaybeApplied() || detail.GetDetails()["retry_after_ms"] != "5000" {
			t.Errorf("%s: %v %v", key, st, detail)
		}
		delete(ended, key)
	}
	for key, err := range ended {
		if err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// No more are under way than the daemon wants to have.
func TestWindow(t *testing.T) {
	s := &slow{came: make(chan string, 100), answer: make(chan struct{}), window: 2}
	var mu sync.Mutex
	under, most := 0, 0
	d := &daemon{serve: func(stream pb.StatehouseService_SessionServer) error {
		for told := false; ; told = true {
			m, err := stream.Recv()
			if err != nil {
				return nil
			}
			for _, r := range m.GetRequests() {
				mu.Lock()
				if under++; told {
					most = max(most, under)
				}
				mu.Unlock()
				time.AfterFunc(2*time.Millisecond, func() {
					mu.Lock()
					defer mu.Unlock()
					under--
					_ = stream.Send(&pb.SessionAnswers{Answers: []*pb.SessionAnswer{answerTo(r, "v")}, Window: s.window})
				})
			}
		}
	}}
	_, c := connect(t, d, session.Options{Requests: 50})
	if _, err := get(t.Context(), c, "k"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			if _, err := get(t.Context(), c, "k"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if most != 2 {
		t.Errorf("%d were under way, the daemon wants 2", most)
	}
}
