package planted

import (
	"maps"
	"os"
	"strings"
	"testing"
)

// TestCaught: what is written is read, without bugs that are no more, and the list that is kept is of bugs that there
// are.
func TestCaught(t *testing.T) {
	one, two := All()[0].Name, All()[1].Name
	seeds, err := ReadCaught(strings.NewReader(Caught(map[string]uint64{two: 8, one: 7, "no-such-bug": 9})))
	if want := map[string]uint64{one: 7, two: 8}; err != nil || !maps.Equal(seeds, want) {
		t.Errorf("%v, %v, want %v", seeds, err, want)
	}
	if _, err := ReadCaught(strings.NewReader("a-bug\n")); err == nil {
		t.Error("a bug without a seed was read")
	}
	kept, err := os.ReadFile("../../" + CaughtList)
	if err != nil {
		t.Fatal(err)
	}
	if seeds, err = ReadCaught(strings.NewReader(string(kept))); err != nil || len(seeds) < 100 || Caught(seeds) != string(kept) {
		t.Errorf("%d seeds are kept, and not as they are written: %v", len(seeds), err)
	}
}
