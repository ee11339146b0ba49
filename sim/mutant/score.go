package mutant

import (
	"bufio"
	"cmp"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Result is what became of a mutant.
type Result struct {
	Mutant
	ReachedBySeeds     int `json:"reached_by_seeds"`
	ReachedByScenarios int `json:"reached_by_scenarios"`
	// By is what killed it, by the tool: the check that failed, or how the process ended. Tools
	// that it survived are not in it.
	By map[Tool]string `json:"killed_by,omitempty"`
	// Seeds is how many it took: up to the first that fails, or all.
	Seeds    int     `json:"seeds"`
	Scenario string  `json:"scenario,omitempty"` // the first that fails
	Seconds  float64 `json:"seconds"`
}

// Tool is one of those that mutants are tried with.
type Tool string

const (
	Fuzz      Tool = "fuzz"
	Scenarios Tool = "scenarios"
	Live      Tool = "live"
	Tests     Tool = "tests" // no tool of the simulator
)

// Killed reports whether a tool of the simulator saw it.
func (r *Result) Killed() bool { return r.By[Fuzz]+r.By[Scenarios]+r.By[Live] != "" }

// Seen reports whether a tool of the simulator or a test saw it.
func (r *Result) Seen() bool { return r.Killed() || r.By[Tests] != "" }

// Reached reports whether a run came by it.
func (r *Result) Reached() bool { return r.ReachedBySeeds+r.ReachedByScenarios > 0 || r.Killed() }

// Tally counts mutants.
type Tally struct {
	Of         int          `json:"of"`
	NotReached int          `json:"not_reached"`
	Killed     int          `json:"killed"` // by a tool of the simulator
	Seen       int          `json:"seen"`   // by one or by a test
	By         map[Tool]int `json:"by"`
	Low        float64      `json:"low"` // of the share killed, 95 %
	High       float64      `json:"high"`
	SeenLow    float64      `json:"seen_low"` // of the share seen
	SeenHigh   float64      `json:"seen_high"`
}

// Add counts one more.
func (t *Tally) Add(r *Result) {
	if t.By == nil {
		t.By = make(map[Tool]int)
	}
	t.Of++
	if !r.Reached() {
		t.NotReached++
	}
	if r.Killed() {
		t.Killed++
	}
	if r.Seen() {
		t.Seen++
	}
	for tool := range r.By { // counted: order cannot matter
		t.By[tool]++
	}
	t.Low, t.High = Wilson(t.Killed, t.Of)
	t.SeenLow, t.SeenHigh = Wilson(t.Seen, t.Of)
}

// Wilson is the interval in which a share lies that was n of a sample of so many, with a
// probability of 95 %. Unlike the textbook's it holds near 0 and 1, and for few.
func Wilson(n, of int) (low, high float64) {
	if of == 0 {
		return 0, 1
	}
	const z = 1.96
	p, m := float64(n)/float64(of), float64(of)
	middle := p + z*z/(2*m)
	spread := z * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return max(0, (middle-spread)/(1+z*z/m)), min(1, (middle+spread)/(1+z*z/m))
}

// Sample draws n of the mutants, in an order that is drawn, too: the first of a sample are a
// smaller sample. Which they are follows from the seed and their IDs: a change
// of the code draws others only for those that it touches.
func Sample(all []Mutant, n int, seed uint64) []Mutant {
	rank := func(m *Mutant) uint64 {
		h := fnv.New64a()
		fmt.Fprint(h, seed, m.ID)
		x := h.Sum64() // FNV's highest bits hardly depend on the last characters: mixed, as splitmix64 does
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		return x ^ x>>31
	}
	drawn := slices.Clone(all)
	slices.SortFunc(drawn, func(a, b Mutant) int { return cmp.Compare(rank(&a), rank(&b)) })
	return drawn[:min(n, len(drawn))]
}

// Kill is a line of the fixed list: a mutant, and what has killed it.
type Kill struct {
	ID    string
	By    Tool
	Seeds int    // so many seeds were enough
	Name  string // of the scenario
}

func (k *Kill) String() string {
	if k.By == Fuzz {
		return fmt.Sprintf("%s %s %d", k.ID, k.By, k.Seeds)
	}
	return fmt.Sprintf("%s %s %s", k.ID, k.By, k.Name)
}

// ReadKills reads a fixed list: lines of "ID fuzz SEEDS" or "ID scenarios NAME".
func ReadKills(r io.Reader) (list []Kill, err error) {
	err = eachLine(r, func(line string) error {
		words := strings.Fields(line)
		if len(words) != 3 {
			return fmt.Errorf("it has %d words, want 3", len(words))
		}
		k := Kill{ID: words[0], By: Tool(words[1]), Name: words[2]}
		switch k.By {
		case Fuzz:
			k.Name = ""
			if k.Seeds, err = strconv.Atoi(words[2]); err != nil || k.Seeds < 1 {
				return fmt.Errorf("%q is no number of seeds", words[2])
			}
		case Scenarios:
		default:
			return fmt.Errorf("%q is neither fuzz nor scenarios", words[1])
		}
		list = append(list, k)
		return nil
	})
	return list, err
}

// Cheapest are the kills that cost least to see again: at most n, taken in turn from each
// package and rule, so that all of them are watched.
func Cheapest(results []Result, n int) (list []Kill) {
	var killed []*Result
	for i := range results {
		if r := &results[i]; r.By[Fuzz] != "" && r.By[Fuzz] != Hang && r.By[Fuzz] != Memory && r.By[Fuzz] != Vacuous || r.By[Scenarios] != "" && r.By[Scenarios] != Hang {
			killed = append(killed, r)
		}
	}
	slices.SortStableFunc(killed, func(a, b *Result) int { return cmp.Compare(a.cost(), b.cost()) })
	round := make(map[*Result]int)
	seen := make(map[string]int)
	for _, r := range killed {
		round[r] = seen[r.Package+r.Rule]
		seen[r.Package+r.Rule]++
	}
	slices.SortStableFunc(killed, func(a, b *Result) int {
		return cmp.Or(cmp.Compare(round[a], round[b]), cmp.Compare(a.cost(), b.cost()))
	})
	for _, r := range killed[:min(n, len(killed))] {
		k := Kill{ID: r.ID, By: Fuzz, Seeds: r.Seeds}
		if r.cost() == scenarioCost {
			k = Kill{ID: r.ID, By: Scenarios, Name: r.Scenario}
		}
		list = append(list, k)
	}
	slices.SortFunc(list, func(a, b Kill) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// scenarioCost is what a scenario costs, in seeds.
const scenarioCost = 5

// cost is in seeds.
func (r *Result) cost() int {
	if r.By[Fuzz] == "" || r.By[Scenarios] != "" && r.Seeds > scenarioCost {
		return scenarioCost
	}
	return r.Seeds
}

// How a process ended that did not say what it saw.
const (
	Hang    = "hang"
	Memory  = "memory"
	Vacuous = "most runs did nothing"
)

// ReadEquivalents reads a list of mutants that nothing could tell from the code as it is:
// lines of an ID and the reason.
func ReadEquivalents(r io.Reader) (reasons map[string]string, err error) {
	reasons = make(map[string]string)
	err = eachLine(r, func(line string) error {
		id, reason, _ := strings.Cut(line, " ")
		if strings.TrimSpace(reason) == "" {
			return fmt.Errorf("%s is excluded without a reason", id)
		}
		reasons[id] = strings.TrimSpace(reason)
		return nil
	})
	return reasons, err
}

// eachLine calls f with each line of a list that is neither empty nor a comment.
func eachLine(r io.Reader, f func(line string) error) error {
	in := bufio.NewScanner(r)
	for n := 1; in.Scan(); n++ {
		line := strings.TrimSpace(in.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := f(line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return in.Err()
}
