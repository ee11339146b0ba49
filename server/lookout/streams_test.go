package lookout

import (
	"math"
	"testing"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

func TestStreams(t *testing.T) {
	var open Streams
	if n, lag := open.Watches(10); n != 0 || lag != 0 {
		t.Errorf("%d %d", n, lag)
	}
	first, second := &Stream{Kind: pb.StreamKind_STREAM_KIND_WATCH}, &Stream{Kind: pb.StreamKind_STREAM_KIND_WATCH}
	first.Seen.Store(4)
	second.Seen.Store(9)
	replay := &Stream{Kind: pb.StreamKind_STREAM_KIND_REPLAY, Last: 5}
	end := open.Add(first)
	defer open.Add(replay)()
	defer open.Add(second)()
	defer open.Add(&Stream{Kind: pb.StreamKind_STREAM_KIND_SESSION})()
	if n, lag := open.Watches(10); n != 2 || lag != 6 {
		t.Errorf("%d watches, %d behind", n, lag)
	}
	if lag := replay.Lag(10); lag != 5 { // it does not go on after its end
		t.Errorf("the replay is %d behind", lag)
	}
	if list := open.List(); len(list) != 4 || list[0] != first || list[1] != replay || list[2] != second || list[3].Lag(10) != 0 {
		t.Errorf("%v", list)
	}
	first.Seen.Store(math.MaxUint64) // ahead of what the caller saw
	if _, lag := open.Watches(10); lag != 1 {
		t.Errorf("%d behind", lag)
	}
	end()
	if n, _ := open.Watches(10); n != 1 || len(open.List()) != 3 {
		t.Errorf("%d", n)
	}
}
