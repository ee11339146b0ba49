package lookout

import (
	"fmt"
	"testing"
	"time"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

var noon = time.Date(2026, 11, 30, 12, 0, 30, 0, time.UTC)

func conflictOf(namespace, key string) Kind {
	return Kind{Namespace: namespace, Agent: "a", Key: key, Principal: "ann", Method: "Transact", Code: pb.ErrorCode_CONFLICT}
}

func totals(list []Refusal) string {
	var out []string
	for _, r := range list {
		out = append(out, fmt.Sprint(r.Namespace, "/", r.Key, " ", r.Count, " ", r.First.UTC().Format("15:04"), "-", r.Last.UTC().Format("15:04")))
	}
	return fmt.Sprint(out)
}

// What is alike stands together; what is older than an hour is gone, to the minute, also of a kind that goes on.
func TestRefusalsOfAnHour(t *testing.T) {
	var r Refusals
	k, other := conflictOf("n", "k"), conflictOf("n", "other")
	r.Add(k, noon)
	r.Add(other, noon.Add(time.Minute))
	r.Add(k, noon.Add(30*time.Minute))
	r.Add(k, noon.Add(30*time.Minute))
	for after, want := range map[time.Duration]string{ // each by itself
		30 * time.Minute: "[n/k 3 12:00-12:30 n/other 1 12:01-12:01]",
		59 * time.Minute: "[n/k 3 12:00-12:30 n/other 1 12:01-12:01]",
		60 * time.Minute: "[n/k 2 12:30-12:30 n/other 1 12:01-12:01]",
		61 * time.Minute: "[n/k 2 12:30-12:30]",
		89 * time.Minute: "[n/k 2 12:30-12:30]",
		90 * time.Minute: "[]",
		72 * time.Hour:   "[]",
	} {
		if got := totals(r.List(noon.Add(after))); got != want {
			t.Errorf("after %v: %s, want %s", after, got, want)
		}
	}
	r.Add(k, noon.Add(75*time.Minute)) // what was counted an hour ago has made room
	if got := totals(r.List(noon.Add(75 * time.Minute))); got != "[n/k 3 12:30-13:15]" {
		t.Error(got)
	}
	r.Add(k, noon.Add(-time.Hour)) // a clock that was set back
	if got := r.List(noon.Add(-time.Hour)); len(got) == 0 || got[0].Count != 4 {
		t.Errorf("after the clock was set back: %+v", got)
	}
}

// However many kinds there are, so many are kept: the last whole, and of all others how many there were.
func TestRefusalsAreBounded(t *testing.T) {
	var r Refusals
	n := 5 * most[0]
	for i := range n {
		r.Add(conflictOf("n", fmt.Sprint("k", i)), noon.Add(time.Duration(i)*time.Millisecond))
	}
	list := r.List(noon)
	if len(list) != most[0]+1 || list[0].Key != fmt.Sprint("k", n-1) {
		t.Fatalf("%d kinds, the first of %q", len(list), list[0].Key)
	}
	all, wide := uint64(0), Refusal{}
	for _, one := range list {
		all += one.Count
		if one.Key == "" {
			wide = one
		}
	}
	if all != uint64(n) || wide.Kind != (Kind{Namespace: "n", Principal: "ann", Code: pb.ErrorCode_CONFLICT}) || wide.Count != uint64(n-most[0]) {
		t.Errorf("%d of %d are counted, and together: %+v", all, n, wide)
	}
	for i := range n { // namespaces that somebody made up
		r.Add(Kind{Namespace: fmt.Sprint("n", i), Method: "Find", Code: pb.ErrorCode_INVALID_REQUEST}, noon.Add(time.Minute))
	}
	all = 0
	list = r.List(noon.Add(time.Minute))
	for _, one := range list {
		all += one.Count
	}
	if len(list) != most[0]+most[1]+2 || all != uint64(2*n) {
		t.Errorf("%d kinds of %d refusals", len(list), all)
	}
}
