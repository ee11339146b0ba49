package bundle

import (
	"strings"
	"testing"

	"statehouse.dev/statehouse/history"
)

func TestVerify(t *testing.T) {
	for says, change := range map[string]func(*story){ // independent of each other: any order
		"":                                func(*story) {},
		" ":                               func(s *story) { s.cut() },
		"  ":                              func(s *story) { s.cut(); s.base.Records = s.base.Records[:1] }, // note was deleted before
		"   ":                             func(s *story) { s.history = someHistory() },
		"makes version 3 of key \"goal\"": func(s *story) { s.log[1].Ops[0].Version = 3; s.state[0].Version = 3 },
		"makes version 2 of key \"note\"": func(s *story) { s.log[0].Ops = s.log[0].Ops[:1] },
		"whose last one was 7":            func(s *story) { s.cut(); s.base.Records[0].Version = 7 },
		"changes key \"note\" of agent":   func(s *story) { s.log[0].Ops = append(s.log[0].Ops, s.log[0].Ops[1]) },
		"on agent \"other\" of namespace": func(s *story) { s.log[2].Ops[0].Agent = "other" },
		"lacks key \"goal\"":              func(s *story) { s.state = nil },
		"has key \"note\"": func(s *story) {
			s.state = append(s.state, history.Record{Name: name("note"), Exists: true, Version: 1, CommitTS: 2})
		},
		"has version 1 of commit 2 of key":     func(s *story) { s.state[0].Version, s.state[0].CommitTS = 1, 2 },
		"another value of key \"goal\"":        func(s *story) { s.state[0].Value = `{"n":3}` },
		"commit 10 is in the log, which is of": func(s *story) { s.log[2].CommitTS = 10 },
		"commit 2 comes behind commit 5":       func(s *story) { s.log[0], s.log[1] = s.log[1], s.log[0] },
		"commit 9 is earlier than commit 5":    func(s *story) { s.log[2].CommitTime = 1 },
		"commit 9 did nothing":                 func(s *story) { s.log[2].Ops = nil },
		"begins behind commit 1, and the":      func(s *story) { s.cut(); s.base.CommitTS = 1 },
		"begins behind commit 0, and the":      func(s *story) { s.manifest.From = 2 },
	} {
		s := newStory()
		change(s)
		v, err := s.open(t).Verify()
		if err != nil {
			t.Errorf("%q: %v", says, err)
			continue
		}
		got := strings.Join(v.Findings, "\n")
		if strings.TrimSpace(says) == "" && got != "" || !strings.Contains(got, strings.TrimSpace(says)) {
			t.Errorf("want %q, got:\n%s", says, got)
		}
	}
}

// What is no slice of a log or no state is not half of one.
func TestVerifyWantsTheRightLines(t *testing.T) {
	s := newStory()
	s.base = &history.Base{CommitTS: 0, Records: s.state}
	if _, err := s.open(t).Verify(); err == nil {
		t.Error("a log from the start has state before it")
	}
}

func TestDiff(t *testing.T) {
	same := func(*story) {}
	for _, c := range []struct {
		what, says string
		a, b       func(*story)
	}{
		{"", "", same, same},
		{"", "", func(s *story) { s.cut() }, func(s *story) { s.cut() }},
		{"", "", same, func(s *story) { s.cut() }}, // where both hold
		{"", "", same, func(s *story) { s.log, s.manifest.To = s.log[:2], 8 }},
		{"", "", same, func(s *story) { s.log[0].Ops[0].Value = `{ "n": 1 }` }},
		{"missing", "commit 5 is in A, and not in B", same, func(s *story) { s.log = append(s.log[:1], s.log[2]) }},
		{"missing", "commit 5 is in B, and not in A", func(s *story) { s.log = append(s.log[:1], s.log[2]) }, same},
		{"missing", "commit 9 is in A, and not in B", same, func(s *story) { s.log = s.log[:2] }},
		{"transaction", `commit 5: it is transaction "t5" in A, "x" in B`, same, func(s *story) { s.log[1].TxnID = "x" }},
		{"operation", `commit 9: operation 1 is a delete of key "note" of agent "planner", version 2, in A, a write of`, same, func(s *story) { s.log[2].Ops[0].Delete = false }},
		{"operation", "operation 2 is a write of key \"note\" of agent \"planner\", version 1, in A, nothing in B", same, func(s *story) { s.log[0].Ops = s.log[0].Ops[:1] }},
		{"operation", "commit 5: operation 1", same, func(s *story) { s.log[1].Ops[0].Key = "gaol" }},
		{"operation", "commit 5: operation 1", same, func(s *story) { s.log[1].Ops[0].Version = 1 }},
		{"value", `commit 5: the value of key "goal" of agent "planner"`, same, func(s *story) { s.log[1].Ops[0].Value = `{"n":3}` }},
		{"metadata", "commit 2: its metadata", same, func(s *story) { s.log[0].Metadata["by"] = "you" }},
		{"time", "commit 2: its times are 5ns apart", same, func(s *story) { s.log[0].CommitTime = 15 }},
		{"state", `behind commit 2, where they begin, key "goal" of agent "planner" is not the same`, func(s *story) { s.cut() }, func(s *story) { s.cut(); s.base.Records[0].Value = "1" }},
		{"state", `key "goal" of agent "planner" is there in A, and not in B`, func(s *story) { s.cut() }, func(s *story) { s.cut(); s.base.Records = s.base.Records[1:] }},
		{"state", `key "note" of agent "planner" is there in A, and not in B`, func(s *story) { s.cut() }, func(s *story) { s.cut(); s.base.Records = s.base.Records[:1] }},
	} {
		a, b := newStory(), newStory()
		c.a(a)
		c.b(b)
		d, _, err := Diff(a.open(t), b.open(t), false)
		if err != nil {
			t.Errorf("%s: %v", c.says, err)
			continue
		}
		if d == nil {
			d = &Difference{}
		}
		if d.What != c.what || !strings.Contains(d.Sentence, c.says) {
			t.Errorf("want %s %q, got %s %q", c.what, c.says, d.What, d.Sentence)
		}
		again, _, err := Diff(a.open(t), b.open(t), true)
		if err != nil || (again != nil) != (c.what != "" && c.what != "transaction" && c.what != "metadata" && c.what != "time") {
			t.Errorf("%s: of operations only: %+v, %v", c.says, again, err)
		}
	}
}

func TestIncomparable(t *testing.T) {
	redacted := func(key string) func(*story) {
		return func(s *story) { s.manifest.Redaction = &Redaction{Values: true, KeyID: key} }
	}
	for says, pair := range map[string][2]func(*story){ // independent of each other: any order
		"redacted alike":    {func(*story) {}, redacted("x")},
		"different keys":    {redacted("y"), redacted("x")},
		"sets of names":     {redacted("x"), func(s *story) { redacted("x")(s); s.manifest.Redaction.NameSet = "z" }},
		"different agents":  {func(*story) {}, func(s *story) { s.manifest.Agents = []string{"other"} }},
		"commits in common": {func(s *story) { s.manifest.To = 4 }, func(s *story) { s.cut(); s.manifest.From = 5 }},
	} {
		a, b := newStory(), newStory()
		pair[0](a)
		pair[1](b)
		if _, _, err := Diff(a.open(t), b.open(t), false); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q, got %v", says, err)
		}
	}
}
