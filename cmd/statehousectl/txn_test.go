package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/state"
)

func TestParseTxn(t *testing.T) {
	var b txnBatch
	in := "# comment\n\n  put a k {\"x\": 1}  \nput \"an agent\"  \"a \\\"key\\\"\"\t{}\r\ndelete a k\nexpect a k 3\nexpect-head a 12"
	if err := parseTxn(strings.NewReader(in), time.Now(), &b); err != nil {
		t.Fatal(err)
	}
	want := client.Batch{
		Writes: []client.Write{
			client.Put("a", "k", []byte(`{"x": 1}`)), client.Put("an agent", `a "key"`, []byte(`{}`)), client.Delete("a", "k"),
		},
		Conditions: client.Conditions{
			Keys:  []client.KeyPrecondition{{RecordName: client.RecordName{Agent: "a", Key: "k"}, Expected: 3}},
			Heads: []client.HeadPrecondition{{Agent: "a", Expected: 12}},
		},
	}
	if !reflect.DeepEqual(b.Batch, want) || !slices.Equal(b.verbs, []string{"put", "put", "delete"}) {
		t.Errorf("got %+v, want %+v", b, want)
	}
	for in, says := range map[string]string{
		"":                         "there are no operations",
		"put":                      "line 1: AGENT is missing",
		"put a":                    "line 1: KEY is missing",
		"put a k":                  "line 1: the value is not JSON",
		"put a k [1]":              "must be a JSON object",
		"\nput a k {} {}":          "line 2: the value is not JSON",
		"delete a k {}":            `"{}" after the key`,
		"expect a k x":             `VERSION is a number, not "x"`,
		"expect-head a -1":         "COMMIT_TS is a number",
		`put "a k {}`:              "AGENT is not a quoted string",
		`put "a"k {}`:              "there is no space after the quoted AGENT",
		"rm a k":                   `"rm" is none of put, delete, put-if-absent, incr, merge, append, delete-prefix, delete-agent, fork, restore-agent, expect, expect-head and expect-lease`,
		"fork a":                   "line 1: NEW is missing",
		"fork a b 1 2":             `"2" after the point of a fork`,
		"fork a b yesterday":       "yesterday",
		"restore-agent a":          "line 1: TO is missing",
		"restore-agent a 3 p q":    `"q" after the prefix of a restore-agent`,
		strings.Repeat("x", 5<<20): "a line is more than 4.0 MiB long",
	} {
		if err := parseTxn(strings.NewReader(in), time.Now(), &txnBatch{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q: got %v, want %q", in, err, says)
		}
	}
}

func FuzzParseTxn(f *testing.F) {
	f.Add("put a \"k\\x00\" {\"x\":1}\ndelete a k\nexpect a k 1\nexpect-head a 1\nfork a b 1\nrestore-agent a 1h p")
	f.Fuzz(func(t *testing.T, in string) {
		var b txnBatch
		if err := parseTxn(strings.NewReader(in), time.Now(), &b); err != nil {
			return
		}
		for _, w := range b.Writes {
			if !state.Evaluated(&w) && w.Tombstone == (len(w.Value) > 0) {
				t.Errorf("%q gives the write %+v", in, w)
			}
		}
	})
}
