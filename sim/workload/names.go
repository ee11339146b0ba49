package workload

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode/utf8"
)

// Names are a small alphabet of names which all programs of a run share, so that they meet,
// and names that are nearly the same meet most.
type Names struct {
	Spaces []string // namespaces; the first is the default one
	Agents []string
	Tails  []string // of keys, after a prefix that their program gives them
	rich   bool     // values are drawn from the corners, too
}

// Plain names are those of a run without surprises.
func Plain(agents int) *Names {
	n := &Names{Spaces: []string{"default", "other", "third"}, Tails: []string{"0", "1", "2", "3", "4"}}
	for i := range max(agents, 1) {
		n.Agents = append(n.Agents, fmt.Sprintf("a%d", i))
	}
	return n
}

// Limits of the contract, in bytes.
const (
	maxSpace, maxAgent, maxKey = 128, 256, 1024
	longestPrefix              = len("if/reg/") // that a program gives a key
)

// edges are the smallest and largest characters of each length in UTF-8, those next to what
// separates names elsewhere, and some that programs are tempted to read as more than text.
var edges = []string{" ", "!", "\"", "#", "%", "*", "+", "-", ".", "/", "0", ":", "@", "A", "\\", "_", "a", "~", "\u007f", "\u0080", "\u00e9", "\u07ff", "\u0800", "\u2028", "\ufffd", "\uffff", "\U00010000", "\U0001f600", "\U0010ffff"}

// DrawNames draws the names of a run, so many agents among them.
func DrawNames(r *rand.Rand, agents int) *Names {
	n := Plain(agents)
	n.rich = true
	n.Spaces = append(n.Spaces[:1:1], relatives(r, "default", 2, maxSpace)...)
	base := []string{"a0", "a", edges[r.IntN(len(edges))], "agent/1:x"}[r.IntN(4)]
	n.Agents = append([]string{base}, relatives(r, base, max(agents, 2), maxAgent)...)
	n.Tails = append([]string{"0"}, relatives(r, "0", 4, maxKey-longestPrefix)...)
	return n
}

// relatives are names that differ from one by as little as names can.
func relatives(r *rand.Rand, name string, n, longest int) (list []string) {
	for known := map[string]bool{name: true}; len(list) < n; {
		near := relative(r, name, longest)
		if !known[near] && near != "" {
			list, known[near] = append(list, near), true
		}
	}
	return list
}

func relative(r *rand.Rand, name string, longest int) string {
	edge := edges[r.IntN(len(edges))]
	_, last := utf8.DecodeLastRuneInString(name)
	switch r.IntN(16) {
	case 0:
		return name[:len(name)-last] // a prefix
	case 1, 2:
		return name[:len(name)-last] + edge // differs at the end
	case 3:
		return edge + name
	case 4:
		return swapCase(name)
	case 5:
		if r.IntN(4) == 0 {
			return name + strings.Repeat("z", longest-len(name)) // the longest
		}
	}
	return name + edge // an extension
}

func swapCase(name string) string {
	if upper := strings.ToUpper(name); upper != name {
		return upper
	}
	return strings.ToLower(name)
}

// Corner draws a piece of JSON at which a reader or writer of it is easily wrong.
func Corner(r *rand.Rand) string {
	if r.IntN(60) == 0 {
		return `"` + strings.Repeat("x", 1<<(8+r.IntN(6))) + `"`
	}
	return corners[r.IntN(len(corners))]
}

// corners are numbers at the edges of what doubles and integers hold, in several spellings,
// strings with each escape, and what is nearly nothing.
var corners = []string{
	"-0", "-0.0", "0.0", "1.0", "10e-1", "1E2", "-1", "0.1", "0.000001", "1e-7", "1e21", "1e22", "1e23",
	"9007199254740991", "9007199254740992", "9007199254740993", "-9007199254740993",
	"9223372036854775807", "9223372036854775808", "-9223372036854775808", "9223372036854775809",
	"18446744073709551615", "18446744073709551616", "123456789012345678901234567890", "4294967296",
	"1e308", "1.7976931348623157e308", "-1.7976931348623157e308", "5e-324", "2.2250738585072014e-308", "0.30000000000000004",
	`""`, `"\u0000"`, `"\ud83d\ude00"`, `"\"\\\/\b\f\n\r\t"`, `"é"`, `"\u00e9"`, `"\u2028<>&"`, `"\u00AA\u00aF"`, `"\uD83D\uDE00"`, `"\u0F9f"`, `"\uffff\ufffd"`, `"\u007f"`, `"null"`,
	"null", "true", "false", "{}", "[]", "[[]]", `{"":{}}`, `[null,{},[],""]`, `{"a":1,"A":2,"\u00e1":4}`, `{"\ue000":1,"\ud83d\ude00":2}`,
	strings.Repeat("[", 27) + strings.Repeat("]", 27), strings.Repeat(`{"d":`, 27) + "0" + strings.Repeat("}", 27),
}

// value makes one that nobody else writes.
func (e *Env) value() json.RawMessage {
	e.written++
	switch {
	case e.names().rich && e.chance(0.25):
		return fmt.Appendf(nil, `{"by":%q,"n":%d,"x":%s}`, e.Name, e.written, Corner(e.Rand))
	case e.names().rich && e.chance(0.1): // space wherever JSON allows it
		return fmt.Appendf(nil, "\t{ \"by\" :\r\n%q , \"n\"\t: %d ,\n\"x\" : [ 1 , { } ,\t[ ]\n] } \n", e.Name, e.written)
	}
	return fmt.Appendf(nil, `{"by":%q,"n":%d}`, e.Name, e.written)
}

// names are those of the run; without any, plain ones.
func (e *Env) names() *Names {
	if e.Names == nil {
		e.Names = Plain(e.Agents)
	}
	return e.Names
}

// agentPrefix is one of the agents' names.
func (e *Env) agentPrefix() string {
	base := e.names().Agents[0]
	_, first := utf8.DecodeRuneInString(base)
	return base[:first]
}

// space draws a namespace.
func (e *Env) space() string {
	spaces := e.names().Spaces
	return spaces[e.Rand.IntN(len(spaces))]
}
