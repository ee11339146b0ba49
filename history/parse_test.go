package history

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// goldenLines are the lines of all golden histories.
func goldenLines(t testing.TB) [][]byte {
	paths, _ := filepath.Glob("testdata/*.jsonl")
	var lines [][]byte
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, bytes.Split(bytes.TrimSpace(text), []byte("\n"))[1:]...)
	}
	if len(lines) < 500 {
		t.Fatal("no histories")
	}
	return lines
}

// sameParsed holds the parser to encoding/json, on one line.
func sameParsed(t *testing.T, text []byte) (parsed bool) {
	var got, want Line
	if !parseLine(text, &got) {
		return false
	}
	if err := decode(text, &want); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s\nis parsed as %+v\nand is %+v, %v", text, got, want, err)
	}
	return true
}

// TestParse: what histories have is parsed, and as encoding/json does; and so are
// lines with a few bytes changed, if at all.
func TestParse(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	unparsed := 0
	for _, line := range goldenLines(t) {
		if !sameParsed(t, line) && bytes.HasPrefix(line, []byte(`{"op"`)) {
			unparsed++
		}
		for range 50 {
			bad := bytes.Clone(line)
			for range 1 + rng.IntN(2) {
				i, k := rng.IntN(len(bad)), rng.IntN(len(bad))
				switch rng.IntN(3) {
				case 0:
					bad[i] = bad[k]
				case 1:
					bad = append(bad[:i:i], bad[min(i+1+rng.IntN(3), len(bad)):]...)
				case 2:
					bad = append(bad[:i:i], append(bytes.Clone(bad[k:min(k+rng.IntN(20), len(bad))]), bad[i:]...)...)
				}
				if len(bad) == 0 {
					bad = []byte("{")
				}
			}
			sameParsed(t, bad)
		}
	}
	if unparsed > 0 {
		t.Errorf("%d operations are left to encoding/json", unparsed)
	}
}

func FuzzParse(f *testing.F) {
	for i, line := range goldenLines(f) {
		if i%10 == 0 {
			f.Add(line)
		}
	}
	f.Add([]byte(`{"op": {"id":1,"client":"\u0041\n\ud83d\ude00","call":-0,"in":{"at":01}}}`))
	f.Add([]byte(`{"op":{"id":1,"call":- 5}}`))
	f.Fuzz(func(t *testing.T, text []byte) { sameParsed(t, text) })
}

func BenchmarkParse(b *testing.B) {
	lines := goldenLines(b)
	bytes := 0
	for _, l := range lines {
		bytes += len(l)
	}
	for _, c := range []struct {
		name string
		read func([]byte, *Line) bool
	}{
		{"parser", parseLine},
		{"encoding-json", func(text []byte, l *Line) bool { return decode(text, l) == nil }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(bytes))
			for b.Loop() {
				for _, text := range lines {
					var l Line
					c.read(text, &l)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(lines)), "ns/line")
		})
	}
}
