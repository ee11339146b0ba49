package redact

import "testing"

// What a capture pays for each value that it keeps as a digest.
func BenchmarkValue(b *testing.B) {
	d := New([]byte("key"))
	for name, text := range map[string]string{ // each by itself
		"canonical": `{"goal":"find a hotel in Paris near the station","n":9007199254740993,"steps":["search","compare","book"],"when":{"from":"2026-02-07","to":"2026-02-09"}}`,
		"not":       `{"when": {"to":"2026-02-09", "from":"2026-02-07"}, "steps": ["search","compare","book"], "n": 9007199254740993, "goal":"find a hotel in Paris near the station"}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				d.Value(text)
			}
		})
	}
}
