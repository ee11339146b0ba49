package admin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/admin"
)

func (d *restorable) dialIn(namespace string) *client.Client {
	d.t.Helper()
	c, err := client.Dial(client.Config{Address: d.addr, Namespace: namespace, Timeout: 30 * time.Second})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = c.Close() })
	return c
}

// fillForExport makes commits of every kind, with values up to the largest, in two namespaces.
func fillForExport(t *testing.T, c *client.Client) {
	t.Helper()
	ctx := context.Background()
	big := strings.Repeat("😀", 1<<18-10) // 4 bytes each: almost 1 MiB
	for i := range 40 {
		var b client.Batch
		b.Metadata = map[string]string{"turn": fmt.Sprint(i)}
		name := client.RecordName{Namespace: []string{"one", "two"}[i%2], Agent: fmt.Sprint("agent-", i%3, "-é"), Key: fmt.Sprint("key/", i%7, "\u2028\"\\")}
		w := client.Write{RecordName: name, Value: fmt.Appendf(nil, `{"n":9007199254740993,"i":%d,"e":1E+2,"s":"<&>\u0000"}`, i)}
		switch i % 5 {
		case 3:
			w.Value, w.Tombstone = nil, true
		case 4:
			w.Value = fmt.Appendf(nil, `{"text":"%s"}`, big[:len(big)-i*4])
		}
		b.Writes = append(b.Writes, w, client.Write{RecordName: client.RecordName{Namespace: "one", Agent: "both", Key: "k"}, Value: []byte(`{}`)})
		if _, err := c.Transact(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
}

func exported(t *testing.T, c *client.Client, targets ...admin.ImportTarget) (events []client.Event) {
	t.Helper()
	status, err := c.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for ev, err := range admin.Export(context.Background(), c, admin.ExportQuery{Targets: targets, To: status.Published}) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, ev)
	}
	return events
}

var bothSpaces = []admin.ImportTarget{{Namespace: "one"}, {Namespace: "two"}}

// imported sends events, one or a few a request, and finishes.
func imported(ctx context.Context, a *admin.Client, x admin.Import, events []client.Event) (admin.Import, error) {
	x, err := a.BeginImport(ctx, x)
	for err == nil && x.State == admin.ImportStaging && int(x.Events) < len(events) {
		n := int(x.Events)
		to := n + 1
		for to < len(events) && admin.ImportedSize(&events[n])+admin.ImportedSize(&events[to]) < 1<<20 && to < n+3 {
			to++
		}
		if x, err = a.ImportEvents(ctx, x.ID, uint64(n), events[n:to]); err == nil {
			_, err = a.ImportEvents(ctx, x.ID, uint64(n), events[n:to]) // once more, as whoever had no answer does
		}
	}
	for at, finishErr := range a.FinishImport(ctx, x.ID, uint64(len(events))) {
		x, err = at, finishErr
	}
	return x, err
}

// What comes out of one store goes into an empty one and is the same, to the byte.
func TestExportAndImport(t *testing.T) {
	source, empty := newRestorable(t), newRestorable(t)
	from, to := source.dialIn("one"), empty.dialIn("one")
	fillForExport(t, from)
	want := exported(t, from, bothSpaces...)
	if len(want) != 40 || len(want[1].Operations) != 2 {
		t.Fatalf("%d events; the second: %+v", len(want), want[1])
	}
	x, err := imported(t.Context(), admin.New(to), admin.Import{ID: "all", Keep: true, Targets: bothSpaces}, want)
	if err != nil || x.State != admin.ImportDone || x.First != 1 || x.Last != 40 {
		t.Fatalf("%+v, %v", x, err)
	}
	got := exported(t, to, bothSpaces...)
	for i := range got {
		got[i].Epoch = want[i].Epoch
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("commit %d differs", want[i].CommitTS)
		}
	}
	// Of a part, too: agents of two namespaces.
	some := []admin.ImportTarget{{Namespace: "one", Agent: "both"}, {Namespace: "two", Agent: "agent-1-é"}}
	part := exported(t, from, some...)
	for _, ev := range part {
		for _, o := range ev.Operations {
			if o.Agent != "both" && (o.Namespace != "two" || o.Agent != "agent-1-é") {
				t.Fatalf("an export of two agents has %+v", o.RecordName)
			}
		}
	}
	if len(part) != 40 {
		t.Errorf("%d events of two agents", len(part))
	}
}

// While others write and watch, a store is stopped in the midst of an import: it goes on, nobody sees a part
// of it, and a watch that waits for it gets all of it, in order.
func TestImportBesideOthers(t *testing.T) {
	source, target := newRestorable(t), newRestorable(t)
	fillForExport(t, source.dialIn("one"))
	want := exported(t, source.dialIn("one"), bothSpaces...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var others sync.WaitGroup
	writer := target.dialIn("live")
	written := make(chan client.CommitTS, 1<<16)
	others.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			r, err := writer.Transact(ctx, client.Batch{Writes: []client.Write{{RecordName: client.RecordName{Namespace: "live", Agent: "a", Key: "k"}, Value: fmt.Appendf(nil, `{"i":%d}`, i)}}})
			if err == nil {
				written <- r.CommitTS
			}
		}
	})
	var seen []client.Event
	watcher := target.dialIn("one")
	all := make(chan struct{})
	others.Go(func() {
		defer close(all)
		for ev, err := range watcher.Watch(ctx, client.WatchQuery{AllAgents: true}) {
			if err != nil {
				return
			}
			if seen = append(seen, ev); len(seen) == len(want) {
				return
			}
		}
	})
	a := admin.New(target.dialIn("one"))
	half := want[:len(want)/2]
	x, err := a.BeginImport(ctx, admin.Import{ID: "live", Targets: bothSpaces})
	for i := range half {
		if err == nil {
			x, err = a.ImportEvents(ctx, x.ID, uint64(i), half[i:i+1])
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	target.stop()
	target.start()
	if _, err := writer.Transact(ctx, client.Batch{Writes: []client.Write{{RecordName: client.RecordName{Namespace: "two", Agent: "a", Key: "k"}, Value: []byte(`{}`)}}}); !errors.Is(err, client.ErrPreconditionFailed) {
		t.Errorf("after a restart somebody else makes what the import is to make: %v", err)
	}
	x, err = imported(ctx, a, admin.Import{ID: "live", Targets: bothSpaces}, want)
	if err != nil || x.State != admin.ImportDone {
		t.Fatalf("%+v, %v", x, err)
	}
	select {
	case <-all:
	case <-time.After(20 * time.Second):
		t.Fatal("the watch has not seen all of the import")
	}
	cancel()
	others.Wait()
	close(written)
	for ts := range written {
		if ts >= x.First && ts <= x.Last {
			t.Errorf("commit %d of somebody else is between %d and %d", ts, x.First, x.Last)
		}
	}
	for i, ev := range seen {
		if ev.CommitTS != x.First+client.CommitTS(i) || ev.Metadata["statehouse.import.commit_ts"] != want[i].CommitTS.String() {
			t.Fatalf("the watch saw commit %d as event %d of an import of %d to %d", ev.CommitTS, i, x.First, x.Last)
		}
	}
	got := exported(t, target.dialIn("one"), bothSpaces...)
	for i := range got {
		if len(got[i].Operations) != len(want[i].Operations) {
			t.Fatalf("event %d has %d operations, want %d", i, len(got[i].Operations), len(want[i].Operations))
		}
		for j, o := range got[i].Operations {
			w := want[i].Operations[j]
			if o.RecordName != w.RecordName || o.Version != w.Version || o.Deleted != w.Deleted || !bytes.Equal(o.Value, w.Value) {
				t.Fatalf("event %d: %+v, want %+v", i, o, w)
			}
		}
	}
}
