package engine

import "testing"

// TestHiddenRecordsAreNotFound: whatever is looked for, hidden records are not found, counted or
// compared.
func TestHiddenRecordsAreNotFound(t *testing.T) {
	e := openStill(t)
	set := func(key, value string) *Write {
		return &Write{Name: RecordName{Namespace: "ns", Agent: "a", Key: key}, Value: []byte(value)}
	}
	commitStill(t, e, "first", set(leaseKey("k"), `{"n":1}`))
	commitStill(t, e, "second", set("k", `{}`), set(leaseKey("k"), `{"n":2}`), set(dueKey("k"), `{}`))
	commitStill(t, e, "third", set(leaseKey("l"), `{"n":2}`))
	snap := Snapshot{e: e, ts: e.Published()}
	for _, o := range []FindOptions{
		{Agent: "a"}, {AllAgents: true}, {Agent: "a", Changed: true}, {Agent: "a", Changed: true, Page: Page{Items: 1}},
	} {
		o.Namespace = "ns"
		found, err := snap.Find(o)
		if err != nil || len(found.Records) != 1 || found.Records[0].Name.Key != "k" || found.Scanned != 1 {
			t.Errorf("%+v: %+v, %v", o, found, err)
		}
		for _, prefix := range []string{"\x01", leaseKey("")} {
			o.Prefix = prefix
			if found, err := snap.Find(o); err != nil || len(found.Records) != 0 || found.Scanned != 0 {
				t.Errorf("%+v: %+v, %v", o, found, err)
			}
		}
	}
	a := AgentName{Namespace: "ns", Agent: "a"}
	list, _, err := snap.Folders(ScanOptions{Agent: a}, "e")
	if err != nil || len(list) != 1 || list[0] != (Listed{Name: "k"}) {
		t.Errorf("folders: %v, %v", list, err)
	}
	for _, rows := range []int{1, 10_000} {
		e.opts.Tuning.LookedRows = rows
		for _, from := range []DiffSide{{Agent: a, At: Snapshot{e: e, ts: 1}}, {Agent: a, Empty: true}, {Agent: AgentName{Namespace: "ns", Agent: "nobody"}, At: snap}} {
			o, keys := DiffOptions{From: from, To: DiffSide{Agent: a, At: snap}}, 0
			for more := true; more; more = o.After != "" {
				d, err := e.Diff(o)
				if err != nil {
					t.Fatal(err)
				}
				for i := range d.Keys {
					if keys++; d.Keys[i].Key != "k" {
						t.Errorf("%q differs", d.Keys[i].Key)
					}
				}
				o.After = d.Next
			}
			if keys != 1 {
				t.Errorf("from %+v: %d keys differ", from, keys)
			}
		}
	}
}
