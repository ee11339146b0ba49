package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// caughtList has the seeds by which planted bugs were caught, from the root of the repository.
const caughtList = "sim/planted/caught.txt"

const caughtHead = `# Seeds that caught planted bugs: prove --quick tries them first.
# A bug, and the seed. A change of worlds makes them stale, which costs time and nothing else.
# Written by prove --keep-seeds.
`

// readCaught reads the seed of each bug.
func readCaught(r io.Reader) (map[string]uint64, error) {
	seeds := make(map[string]uint64)
	for lines := bufio.NewScanner(r); lines.Scan(); {
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
	return seeds, nil
}

// keepSeeds writes down which seeds caught the bugs, beside those of bugs that were not tried now.
func (o *proveFlags) keepSeeds(root string, proofs []proof) error {
	list := filepath.Join(root, caughtList)
	seeds, err := readList(list, readCaught)
	if err != nil {
		return err
	}
	if seeds == nil {
		seeds = make(map[string]uint64)
	}
	for i := range proofs {
		if p := &proofs[i]; p.Caught && p.Seed > 0 {
			seeds[p.Bug] = p.Seed
		}
	}
	lines := make([]string, 0, len(seeds))
	for bug, seed := range seeds { // sorted below
		if _, err := bugNamed(bug); err == nil {
			lines = append(lines, fmt.Sprintln(bug, seed))
		}
	}
	slices.SortFunc(lines, cmp.Compare)
	if err := os.WriteFile(list, []byte(caughtHead+strings.Join(lines, "")), 0o644); err != nil {
		return failed(exitInternal, "%v", err)
	}
	return nil
}
