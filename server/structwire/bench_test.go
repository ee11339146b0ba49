package structwire

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// largeValues are what agents keep that is large: embeddings, transcripts, tables.
func largeValues() map[string]string {
	r := rand.New(rand.NewPCG(1, 2))
	var floats, short, ints, chat, rows []string
	for i := range 10_000 {
		floats = append(floats, fmt.Sprint(r.Float64()*2-1))
		short = append(short, fmt.Sprintf("%.6f", r.Float64()*2-1))
		ints = append(ints, fmt.Sprint(r.IntN(1_000_000)))
		if i%10 == 0 {
			chat = append(chat, `{"role":"user","content":"`+strings.Repeat("What is the population of Paris? ", 8)+`\n"}`)
		}
		rows = append(rows, fmt.Sprintf(`{"id":%d,"name":"row %d","score":%v,"ok":true}`, i, i, r.Float64()))
	}
	list := func(items []string) string { return `{"a":[` + strings.Join(items, ",") + `]}` }
	return map[string]string{
		"floats": list(floats), "six_digits": list(short), "integers": list(ints),
		"chat": list(chat), "rows": list(rows), "text": `{"a":"` + strings.Repeat("lorem ipsum ", 80_000) + `"}`,
	}
}

// BenchmarkStructAnswer compares the way of a value from JSON text to a Struct's wire
// bytes with what protobuf takes to marshal the Struct when it is there already.
func BenchmarkStructAnswer(b *testing.B) {
	for name, text := range largeValues() {
		var m map[string]any
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			b.Fatal(err)
		}
		tree, err := structpb.NewStruct(m)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name+"/ours", func(b *testing.B) {
			b.ReportAllocs()
			text := []byte(text)
			for b.Loop() {
				if _, _, err := Append(nil, text); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/structpb", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := proto.Marshal(tree); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
