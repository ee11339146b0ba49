package step

import (
	"strings"
	"testing"
)

// TestFaultRefused: a fault that could never strike, and a corruption that no file could come
// to, are refused with a list of what there is.
func TestFaultRefused(t *testing.T) {
	for step, want := range map[string]string{ // order cannot matter
		"fault sync-error file=walll":                "want one of [wal manifest",
		"fault sync-error file=WAL":                  "want one of [wal manifest",
		"fault crash file=sstables op=write":         "want one of [wal manifest",
		"fault sync-error file=dir":                  "sees no sync, only [open dirsync mkdir]",
		"fault dirsync-error file=wal":               "sees no dirsync, only [create open",
		"fault rename-error file=marker":             "sees no rename, only [create remove]",
		"fault bitflip file=dir":                     "sees no read",
		"fault crash file=options op=sync":           "sees no sync, only [open read rename remove]",
		"fault stall file=lock op=write":             "sees no write, only [open lock]",
		"fault lock-error file=wal":                  "sees no lock",
		"fault link-error":                           "nothing in a store is done by link",
		"fault crash op=link":                        "nothing in a store is done by link",
		"fault sync-error file=wal maybe maybe":      `bad or repeated "maybe"`,
		"fault maybe sync-error file=wal":            `bad or repeated "sync-error"`,
		"rot walll":                                  "want one of [wal manifest",
		"rot dir":                                    "want one of [wal manifest",
		"truncate wal nth=0":                         "nth=0",
		"rot wal where=1.5":                          "where=1.5",
		"rot wal where=NaN":                          "where=NaN",
		"rot wal bit=8":                              "bit=8",
		"c1 #0 get a/k":                              "#0 is no id",
		"c1 #99999999999 get a/k":                    "is no id",
		"c1 transact t put a/k {} => absent":         "can never be absent",
		"c1 transact t put a/k {} => keys=":          "can never be keys=",
		"c1 get a/k => ts=0":                         "can never be ts=0",
		"c1 get a/k => events=":                      "can never be events=",
		"c1 replay a => v=0":                         "can never be v=0",
		"c1 outcome t => {\"n\":1}":                  "can never be",
		"c1 agents default => state=":                "can never be state=",
		"c1 history a/k => agents=":                  "can never be agents=",
		"fault sync-error file=wal nth=1 maybe when": "bad or repeated",
	} {
		if s, err := Parse(step); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v, want %q", step, s, err, want)
		}
	}
	for _, step := range []string{"fault sync-error file=wal nth=2 maybe", "fault crash op=sync nth=1 when=before mode=torn maybe", "fault read-error file=000004.log nth=1", "fault write-error nth=1"} {
		if s, err := Parse(step); err != nil || s.String() != step {
			t.Errorf("%s: %v, %s", step, err, s)
		}
	}
}
