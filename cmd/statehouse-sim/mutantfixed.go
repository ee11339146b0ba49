package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"statehouse.dev/statehouse/sim/mutant"
)

// again has the fixed list killed again.
func (s *scoring) again(ctx context.Context, all []mutant.Mutant) error {
	kills, err := readList(filepath.Join(s.root, fixedList), mutant.ReadKills)
	if err != nil {
		return err
	}
	if len(kills) == 0 {
		return failed(exitVacuous, "%s is empty", fixedList)
	}
	list, lost := s.plan(kills, all)
	results := s.tryAll(ctx, list)
	if ctx.Err() != nil {
		return failed(exitInterrupted, "interrupted")
	}
	for i := range results {
		if r := &results[i]; !r.Killed() {
			lost = append(lost, fmt.Sprintf("%s was killed before, and survives", r.ID))
		}
	}
	for _, line := range lost {
		fmt.Fprintln(s.a.out, line)
	}
	fmt.Fprintf(s.a.out, "%d of %d mutants of the fixed list killed\n", len(kills)-len(lost), len(kills))
	if len(lost) > 0 {
		return failed(exitViolation, "%d of %d mutants are not killed any more", len(lost), len(kills))
	}
	return nil
}

// plan has each mutant of the list tried the way that it was killed. lost says which are
// not there.
func (s *scoring) plan(kills []mutant.Kill, all []mutant.Mutant) (list []mutant.Mutant, lost []string) {
	byID := make(map[string]*mutant.Mutant)
	for i := range all {
		byID[all[i].ID] = &all[i]
	}
	for _, k := range kills {
		m := byID[k.ID]
		if m == nil {
			lost = append(lost, k.ID+" does not exist any more: the code has changed, and the list must follow (prove --mutants --fix)")
			continue
		}
		list = append(list, *m)
		// Worlds change more often than code: a few more seeds are no loss.
		for seed := range uint64(2*k.Seeds + 10) {
			if k.By == mutant.Fuzz {
				s.seeds[m.Number] = append(s.seeds[m.Number], seed+1)
			}
		}
		if k.By == mutant.Scenarios {
			s.scenarios[m.Number] = []string{filepath.Join(s.root, scenarioDir, k.Name+".yaml")}
		}
	}
	return list, lost
}

const fixedHead = `# Mutants that the simulator killed, and has to kill again: prove --mutants --fixed.
# An ID, and the tool: fuzz and how many seeds were enough, or scenarios and which one.
# Written by prove --mutants --fix.
`

func writeFixed(path string, kills []mutant.Kill) error {
	var b strings.Builder
	b.WriteString(fixedHead)
	for i := range kills {
		fmt.Fprintln(&b, &kills[i])
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return failed(exitInternal, "%v", err)
	}
	return nil
}
