package footprint_test

import (
	"errors"
	"strings"
	"testing"

	"statehouse.dev/statehouse/client/footprint"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

func put(key, value string) *pb.TransactOperation {
	return &pb.TransactOperation{Namespace: "n", AgentId: "a", Key: key, ValueJson: []byte(value)}
}

func gone(key string) *pb.TransactOperation {
	return &pb.TransactOperation{Namespace: "n", AgentId: "a", Key: key, Delete: true}
}

func stage(t *testing.T, f *footprint.Footprint, ops ...*pb.TransactOperation) {
	t.Helper()
	for _, o := range ops {
		if err := f.Writes.Stage(o, 100); err != nil {
			t.Fatal(err)
		}
	}
}

// A list shows stored records and own writes in one order, either way.
func TestMerge(t *testing.T) {
	for _, c := range []struct {
		reverse bool
		stored  string
		want    string
	}{
		{false, "b d f h", "a B d F h i"},
		{true, "h f d b", "i h F d B a"},
		{false, "", "a B F i"},
		{false, "d", "a B d F i"},
	} {
		var f footprint.Footprint
		stage(t, &f, put("i", "i"), put("F", "-"), put("b", "B"), put("f", "F"), put("a", "a"), gone("e"), put("c", "c"), gone("c"))
		stage(t, &f, gone("F"), &pb.TransactOperation{Namespace: "n", AgentId: "other", Key: "b"})
		own := f.Writes.In(footprint.Name{Namespace: "n", Agent: "a"}, "", c.reverse)
		var got []string
		add := func(own []*pb.TransactOperation) {
			for _, o := range own {
				got = append(got, string(o.ValueJson))
			}
		}
		for _, key := range strings.Fields(c.stored) {
			before, hidden := own.UpTo(key)
			if add(before); !hidden {
				got = append(got, key)
			}
		}
		if add(own.Rest()); strings.Join(got, " ") != c.want {
			t.Errorf("reverse %v, over %q: %v, want %s", c.reverse, c.stored, got, c.want)
		}
	}
}

// The request says of each key the last write, every condition, and what was read at one
// snapshot; and what a daemon would not look at, it refuses.
func TestFill(t *testing.T) {
	var f footprint.Footprint
	first := put("k", "1")
	first.ExpectedVersion = new(uint64(3))
	stage(t, &f, first, put("j", "1"), put("k", "2"))
	if !f.Reads.Fix(7) || f.Reads.Fix(8) {
		t.Fatal("the snapshot is not that of the first read")
	}
	absent := footprint.Name{Namespace: "n", Agent: "a", Key: "absent"}
	if err := errors.Join(f.Reads.Add(absent, 0), f.Reads.Add(absent, 0)); err != nil {
		t.Fatal(err)
	}
	if f.Reads.Add(absent, 1) == nil {
		t.Error("two versions at one commit")
	}
	l := f.Reads.List(footprint.Name{Namespace: "n", Agent: "a"}, "p")
	l.Shown("p1", false)
	backwards := f.Reads.List(footprint.Name{Namespace: "n", Agent: "a"}, "p")
	backwards.Shown("p9", true)

	var req pb.TransactRequest
	f.Fill(&req)
	if len(req.Operations) != 2 || string(req.Operations[0].ValueJson) != "2" || req.Operations[1].Key != "j" {
		t.Errorf("the writes are %v", req.Operations)
	}
	if k := req.KeyPreconditions; len(k) != 2 || k[0].Key != "k" || k[0].ExpectedVersion != 3 || k[1].Key != "" {
		t.Errorf("the conditions are %v", k)
	}
	r := req.Reads
	if r.SnapshotTs != 7 || len(r.Keys) != 1 || r.Keys[0].Key != "absent" || r.Keys[0].Version != 0 {
		t.Errorf("the reads are %v", r)
	}
	if g := r.Ranges; len(g) != 2 || g[0].First != "" || g[0].Last != "p1" || g[1].First != "p9" || g[1].Last != "" {
		t.Errorf("the lists are %v", g)
	}
	l.Whole()
	var again pb.TransactRequest
	if f.Fill(&again); again.Reads.Ranges[0].Last != "" {
		t.Error("a list that was shown whole has an end")
	}

	f.Forget()
	var empty pb.TransactRequest
	f.Fill(&empty)
	if at, fixed := f.Reads.At(); !fixed || at != 7 || !f.Writes.Empty() || empty.Reads != nil || len(empty.KeyPreconditions) > 0 {
		t.Errorf("what is forgotten is sent: %v", &empty)
	}
}

func TestLimits(t *testing.T) {
	limited := func(err error) bool { return errors.As(err, new(*footprint.Limit)) }
	var f footprint.Footprint
	for range 10_000 {
		if err := f.MayRead(); err != nil {
			t.Fatal(err)
		}
		f.Reads.List(footprint.Name{}, "")
	}
	if !limited(f.MayRead()) || !limited(f.Fits()) {
		t.Error("there is no limit to reads")
	}
	var w footprint.Writes
	if err := errors.Join(w.Stage(put("a", "{}"), 1), w.Stage(put("a", "{}"), 1)); err != nil {
		t.Fatal(err)
	}
	if !limited(w.Stage(put("b", "{}"), 1)) || !limited(w.Stage(put("a", strings.Repeat("x", 4<<20)), 1)) {
		t.Error("there is no limit to writes")
	}
}
