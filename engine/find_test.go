package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// Finding where the past has holes: below the floor, and where something was erased.

// findPage reads a page, and the keys on it.
func (p *process) findPage(t *testing.T, at engine.CommitTS, o *engine.FindOptions) (keys []string) {
	t.Helper()
	s, err := p.Snapshot(engine.At{CommitTS: &at})
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.Find(*o)
	if err != nil {
		t.Fatalf("%+v: %v", o, err)
	}
	for i := range found.Records {
		keys = append(keys, found.Records[i].Name.Key)
	}
	o.After = found.Next
	return keys
}

// TestChangedOverTheFloor: a list by last change has every record once, wherever the floor is when
// it begins, and wherever it goes while the list is read.
func TestChangedOverTheFloor(t *testing.T) {
	const commits = 20
	for pages := -1; pages <= 10; pages++ { // read before the floor rises; -1: it has risen before
		d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
		p := openOn(t, d, clock)
		for i := 1; i <= commits; i++ {
			clock.ms.Add(time.Hour.Milliseconds())
			// Keys of one commit come in byte order, and what it writes again is not of the commit before.
			p.transact(t, fmt.Sprint("t", i), nil, put("a", fmt.Sprintf("b%02d", commits-i), i), put("a", fmt.Sprintf("a%02d", i), i), put("a", "always", i))
		}
		raise := func() {
			if _, err := p.SetRetention(context.Background(), engine.Retention{MaxAge: 5 * time.Hour}); err != nil {
				t.Fatal(err)
			}
			p.chores()
		}
		o := engine.FindOptions{Agent: "a", Changed: true, Page: engine.Page{Items: 4}}
		if pages < 0 {
			raise()
		}
		var got []string
		for page := 0; page == 0 || o.After != ""; page++ {
			if page == pages {
				raise()
			}
			got = append(got, p.findPage(t, commits, &o)...)
		}
		floor := 15
		var above, below []string
		for i := commits; i > 0; i-- {
			if i == commits {
				above = append(above, "a20", "always", "b00")
			} else if above = append(above, fmt.Sprintf("a%02d", i), fmt.Sprintf("b%02d", commits-i)); i < floor {
				below = append(below, above[len(above)-2:]...)
				above = above[:len(above)-2]
			}
		}
		// What the events showed before the floor rose is in their order, too.
		shown := max(len(above), min(max(4*pages, 0), len(got)))
		want := append(slices.Clone(above), got[len(above):shown]...)
		for _, key := range want[len(above):] {
			below = slices.DeleteFunc(below, func(k string) bool { return k == key })
		}
		slices.Sort(below)
		want = append(want, below...)
		if !slices.Equal(got, want) || len(got) != 2*commits+1 {
			t.Errorf("the floor rose before page %d:\n%v\nnot\n%v", pages, got, want)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFindBelowTheFloor: of a record that was written before the floor the value is found, and what
// its commit said is not known. A read below the floor is refused.
func TestFindBelowTheFloor(t *testing.T) {
	p := openOn(t, simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{})
	p.transact(t, "early", map[string]string{"by": "me"}, put("a", "early", 1))
	p.clock.ms.Add(10 * time.Hour.Milliseconds())
	p.transact(t, "late", map[string]string{"by": "me"}, put("a", "late", 2))
	p.clock.ms.Add(10 * time.Hour.Milliseconds())
	p.transact(t, "last", nil, put("a", "last", 3))
	byMe := func(m map[string]string) bool { return m["by"] == "me" }
	notByMe := func(m map[string]string) bool { return !byMe(m) }
	find := func(metadata func(map[string]string) bool) string {
		t.Helper()
		return strings.Join(p.findPage(t, 3, &engine.FindOptions{Agent: "a", Metadata: metadata}), " ")
	}
	if got := find(byMe); got != "early late" {
		t.Errorf("before the floor rises: %s", got)
	}
	if _, err := p.SetRetention(context.Background(), engine.Retention{MaxAge: 5 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	p.chores()
	for got, want := range map[string]string{find(byMe): "late", find(notByMe): "last", find(nil): "early last late"} { // any order
		if got != want {
			t.Errorf("after it has: %s, not %s", got, want)
		}
	}
	one := engine.CommitTS(1)
	s, err := p.Snapshot(engine.At{CommitTS: &one})
	if err != nil {
		t.Fatal(err)
	}
	for _, changed := range []bool{false, true} {
		if _, err := s.Find(engine.FindOptions{Agent: "a", Changed: changed}); !errors.Is(err, engine.ErrOutOfRange) {
			t.Errorf("changed %v, below the floor: %v", changed, err)
		}
	}
	if _, _, err := s.Folders(engine.ScanOptions{Agent: engine.AgentName{Agent: "a"}}, "/"); !errors.Is(err, engine.ErrOutOfRange) {
		t.Errorf("folders below the floor: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFindErased: as of before an erasure a record is there, and nothing can be asked of its value
// or its commit; compared with what is there now, it differs.
func TestFindErased(t *testing.T) {
	p := openOn(t, simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{})
	p.transact(t, "one", map[string]string{"by": "me"}, put("a", "k1", 1), put("a", "k2", 1))
	p.erase(t, engine.Erasure{Agent: "a", Key: "k1"})
	p.transact(t, "two", nil, put("a", "k1", 1))
	seen := 0
	sees := func(text []byte) bool { seen++; return text != nil }
	any := func(map[string]string) bool { return true }
	for _, c := range []struct {
		at   engine.CommitTS
		o    engine.FindOptions
		want string
	}{
		{1, engine.FindOptions{Agent: "a"}, "k1 k2"},
		{1, engine.FindOptions{Agent: "a", Changed: true}, "k1 k2"},
		{1, engine.FindOptions{Agent: "a", Value: sees}, "k2"},
		{1, engine.FindOptions{Agent: "a", Value: sees, Changed: true}, "k2"},
		{1, engine.FindOptions{Agent: "a", Metadata: any}, ""},
		{p.Published(), engine.FindOptions{Agent: "a", Value: sees}, "k1 k2"},
		{p.Published(), engine.FindOptions{Agent: "a", Changed: true}, "k1 k2"},
	} {
		o := c.o
		if got := strings.Join(p.findPage(t, c.at, &o), " "); got != c.want {
			t.Errorf("%+v at %d: %q, not %q", c.o, c.at, got, c.want)
		}
	}
	if seen == 0 {
		t.Error("no value was asked about")
	}
	one := engine.CommitTS(1)
	s, err := p.Snapshot(engine.At{CommitTS: &one})
	if err != nil {
		t.Fatal(err)
	}
	now, err := p.Snapshot(engine.At{})
	if err != nil {
		t.Fatal(err)
	}
	a := engine.AgentName{Agent: "a"}
	d, err := p.Diff(engine.DiffOptions{From: engine.DiffSide{Agent: a, At: s}, To: engine.DiffSide{Agent: a, At: now}})
	if err != nil || len(d.Keys) != 1 || d.Keys[0].Key != "k1" || !d.Keys[0].From.Erased || d.Keys[0].To.Value == nil {
		t.Errorf("%+v, %v", d, err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFoldersSkip: what is in a folder is not read.
func TestFoldersSkip(t *testing.T) {
	p := openOn(t, simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{})
	var writes []engine.Write
	for i := range 2000 {
		writes = append(writes, put("a", fmt.Sprintf("big/%04d", i), i))
	}
	p.transact(t, "many", nil, append(writes, put("a", "after", 1), put("a", "z", 1))...)
	before := p.Reads().Steps
	s, err := p.Snapshot(engine.At{})
	if err != nil {
		t.Fatal(err)
	}
	for _, reverse := range []bool{false, true} {
		list, more, err := s.Folders(engine.ScanOptions{Agent: engine.AgentName{Agent: "a"}, Reverse: reverse}, "/")
		if err != nil || more || len(list) != 3 {
			t.Errorf("%v, %v, %v", list, more, err)
		}
	}
	if rows := p.Reads().Steps - before; rows > 30 {
		t.Errorf("%d rows were read for two lists of 3 names", rows)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDiffShortWay: where little changed little is read, however much there is.
func TestDiffShortWay(t *testing.T) {
	p := openOn(t, simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{})
	var writes []engine.Write
	for i := range 2000 {
		writes = append(writes, put("a", fmt.Sprintf("k%04d", i), i))
	}
	first := p.transact(t, "many", nil, writes...).CommitTS
	p.transact(t, "few", nil, put("a", "k0007", 1), put("a", "k0008", 8), remove("a", "k0009"))
	s, err := p.Snapshot(engine.At{CommitTS: &first})
	if err != nil {
		t.Fatal(err)
	}
	now, err := p.Snapshot(engine.At{})
	if err != nil {
		t.Fatal(err)
	}
	before := p.Reads().Steps
	a := engine.AgentName{Agent: "a"}
	d, err := p.Diff(engine.DiffOptions{From: engine.DiffSide{Agent: a, At: s}, To: engine.DiffSide{Agent: a, At: now}})
	if err != nil || len(d.Keys) != 2 || d.Keys[0].Key != "k0007" || d.Keys[1].Key != "k0009" {
		t.Errorf("%+v, %v", d, err)
	}
	if rows := p.Reads().Steps - before; rows > 30 {
		t.Errorf("%d rows were read for three keys", rows)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}
