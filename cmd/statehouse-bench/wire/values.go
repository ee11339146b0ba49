package wire

import (
	"fmt"
	"math/rand/v2"
)

// ValueBytes is the size of a value.
const ValueBytes = 256

// Values makes values to write in turn: JSON objects of ValueBytes with words of text,
// as agents write, and a number. Two are hardly ever equal.
func Values() [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	values := make([][]byte, 1024)
	for i := range values {
		b := fmt.Appendf(nil, `{"step":%d,"note":"`, 1000+r.IntN(9000))
		for len(b) < ValueBytes-2 {
			b = append(b, words[r.IntN(len(words))]...)
			b = append(b, ' ')
		}
		values[i] = append(b[:ValueBytes-2], `"}`...)
	}
	return values
}

var words = []string{"the", "agent", "searched", "for", "population", "of", "Paris", "and", "found", "2.1", "million",
	"according", "to", "source", "document", "next", "plan", "compare", "with", "London", "tool", "call", "returned",
	"error", "retry", "after", "backoff", "user", "asked", "summary", "budget", "tokens", "draft", "review", "final"}
