package planted

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// CaughtList has the seeds that caught the bugs, from the root of the repository.
const CaughtList = "sim/planted/caught.txt"

const caughtHead = `# Seeds that caught planted bugs: prove --quick tries them first.
# A bug, and the seed. A change of worlds makes them stale, which costs time and nothing else.
# Written by prove --keep-seeds.
`

// ReadCaught reads the seed of each bug.
func ReadCaught(r io.Reader) (map[string]uint64, error) {
	seeds := make(map[string]uint64)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		var bug string
		var seed uint64
		if _, err := fmt.Sscanf(lines.Text(), "%s %d", &bug, &seed); err != nil {
			return nil, fmt.Errorf("%q is not a bug and a seed", lines.Text())
		}
		seeds[bug] = seed
	}
	return seeds, lines.Err()
}

// Caught is the text of a list. Bugs that are no more are left out.
func Caught(seeds map[string]uint64) string {
	known := make(map[string]bool)
	for _, b := range All() {
		known[b.Name] = true
	}
	var out strings.Builder
	out.WriteString(caughtHead)
	for _, bug := range slices.Sorted(maps.Keys(seeds)) {
		if known[bug] {
			fmt.Fprintln(&out, bug, seeds[bug])
		}
	}
	return out.String()
}
