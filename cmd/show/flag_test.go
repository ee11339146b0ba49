package show

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestFlagError(t *testing.T) {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.Int("int", 0, "")
	f.Int64("int64", 0, "")
	f.Uint64("uint64", 0, "")
	f.Bool("bool", false, "")
	f.Duration("duration", time.Second, "")
	f.IntSlice("slice", nil, "")
	f.IntP("letter", "n", 0, "")
	f.String("text", "", "")
	for arg, want := range map[string]string{ // any order
		"--int=x": `--int: "x" is not a whole number`, "--int64=1.5": `--int64: "1.5" is not a whole number`, "--uint64=-1": `--uint64: "-1" is not a whole number that is not negative`,
		"--bool=perhaps": `--bool: "perhaps" is not true or false`, "--duration=7": `--duration: "7" is not a duration, such as 30s or 1h30m`,
		"--slice=1,x": `--slice: "1,x" is not whole numbers with commas between them`, "-nx": `--letter: "x" is not a whole number`, "--none": "unknown flag: --none",
	} {
		err := FlagError(f.Parse([]string{arg}))
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", arg, err, want)
		}
	}
	f.VisitAll(func(f *pflag.Flag) {
		if kind := FlagKind(f); strings.Contains(kind, "a int") || strings.Contains(kind, "a uint") {
			t.Errorf("--%s is %s", f.Name, kind)
		}
	})
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 commits", 1: "1 commit", 2: "2 commits", 1001: "1001 commits"} { // any order
		if got := Count(n, "commit"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
