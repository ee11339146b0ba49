package engine

import (
	"strings"
	"testing"

	"statehouse.dev/statehouse/engine/jsonform"
)

// BenchmarkFingerprint measures what a request's goroutine does for a commit of one
// write, with the value's check.
func BenchmarkFingerprint(b *testing.B) {
	sorted := []byte(benchNormal)
	for _, c := range []struct {
		name string
		text []byte
	}{
		{"256B_normal", sorted},
		{"256B", []byte(benchSent)},
		{"1MiB_normal", []byte(`{"a":[` + strings.Repeat(benchNormal+",", 3800) + `0]}`)},
		{"1MiB", []byte(`{"a":[` + strings.Repeat(benchSent+",", 3800) + `0]}`)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			b.ReportAllocs()
			for b.Loop() {
				w := &Write{Name: RecordName{Namespace: "default", Agent: "alice", Key: "plan"}}
				var err error
				if w.Value, w.normal, err = jsonform.CheckForm(c.text, 2*(1<<20)); err != nil {
					b.Fatal(err)
				}
				newProposal("client-1", []*Write{w}, Conditions{})
			}
		})
	}
}

const benchNormal = `{"content":"The weather in Zürich is 21.5 °C and sunny.","cost":0.00321,"error":null,"final":true,"role":"assistant","tokens":{"completion":96,"prompt":412},"tool_calls":[{"arguments":{"city":"Zürich","units":"metric"},"id":"call_91f2","name":"get_weather"}]}`

// benchSent is the same value as it is sent.
const benchSent = `{"role":"assistant","content":"The weather in Zürich is 21.5 °C and sunny.","tool_calls":[{"id":"call_91f2","name":"get_weather","arguments":{"city":"Zürich","units":"metric"}}],"tokens":{"prompt":412,"completion":96},"cost":0.00321,"final":true,"error":null}`
