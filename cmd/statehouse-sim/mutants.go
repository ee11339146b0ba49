package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"statehouse.dev/statehouse/sim/mutant"
	"statehouse.dev/statehouse/sim/mutant/toggle"
	"statehouse.dev/statehouse/sim/planted"
)

// The lists of mutants, from the root of the repository.
const (
	fixedList      = "sim/mutant/fixed.txt"
	equivalentList = "sim/mutant/equivalent.txt"
)

type mutantFlags struct {
	on       bool
	packages []string
	files    []string
	sample   int
	seed     uint64
	seeds    int
	fixed    bool
	fix      int
	live     bool
	tests    bool
	testsIn  []string
	first    bool
	memory   int64 // MiB
	hang     time.Duration
}

// unchanged is how many seeds show that the switches alone change nothing.
const unchanged = 20

// scoring is a "prove --mutants" on the way.
type scoring struct {
	a       *app
	o       proveFlags
	root    string
	dir     string
	overlay mutant.Overlay
	program string // this tool with all mutants in it
	daemon  string // likewise, for live
	files   []string
	// Which seeds and files of scenarios come by a mutant, by its number. The others do what
	// they do without it.
	seeds     map[uint32][]uint64
	scenarios map[uint32][]string
	tests     []*testProgram
}

func (a *app) proveMutants(ctx context.Context, o proveFlags) error {
	root, err := planted.Root(ctx, ".")
	if err != nil {
		return failed(exitUsage, "%v", err)
	}
	s := &scoring{a: a, o: o, root: root, seeds: make(map[uint32][]uint64), scenarios: make(map[uint32][]string)}
	if s.files, err = scenarioFiles([]string{filepath.Join(root, scenarioDir)}); err != nil {
		return err
	}
	all, overlay, err := mutant.Generate(ctx, root, o.mutants.packages)
	if err != nil {
		return failed(exitUsage, "%v", err)
	}
	s.overlay = overlay
	chosen, equivalent, err := s.choose(all)
	if err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "statehouse-mutants-"); err != nil {
		return failed(exitInternal, "%v", err)
	}
	defer os.RemoveAll(s.dir)
	if err := s.build(ctx, chosen); err != nil {
		return failed(exitInternal, "%v", err)
	}
	if err := s.control(ctx); err != nil {
		return err
	}
	if o.mutants.fixed {
		return s.again(ctx, all)
	}
	results := s.tryAll(ctx, chosen)
	if err := s.print(results, equivalent); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return failed(exitInterrupted, "interrupted")
	}
	if o.mutants.fix > 0 {
		return writeFixed(filepath.Join(root, fixedList), mutant.Cheapest(results, o.mutants.fix))
	}
	return nil
}

// choose lists the mutants that are to be tried, and those which are not, since nothing
// could tell them from the code as it is.
func (s *scoring) choose(all []mutant.Mutant) (chosen []mutant.Mutant, equivalent map[string]string, err error) {
	equivalent, err = readList(filepath.Join(s.root, equivalentList), mutant.ReadEquivalents)
	if err != nil {
		return nil, nil, err
	}
	known, packages := make(map[string]bool), make(map[string]bool)
	for i := range all {
		known[all[i].ID], packages[all[i].Package] = true, true
	}
	for _, id := range slices.Sorted(maps.Keys(equivalent)) {
		if pkg, _, _ := strings.Cut(id, ":"); known[id] {
			continue
		} else if packages[pkg] {
			return nil, nil, failed(exitUsage, "%s excludes %s, which does not exist any more", equivalentList, id)
		}
		delete(equivalent, id) // it is of a package that is not asked for
	}
	for _, id := range s.o.only {
		if !known[id] {
			return nil, nil, failed(exitUsage, "there is no mutant %s", id)
		}
	}
	chosen, err = inFiles(all, s.o.mutants.files)
	if err != nil {
		return nil, nil, err
	}
	of := len(chosen)
	chosen = slices.DeleteFunc(chosen, func(m mutant.Mutant) bool {
		return equivalent[m.ID] != "" || len(s.o.only) > 0 && !slices.Contains(s.o.only, m.ID)
	})
	const most = 20 // one of so many
	if len(equivalent) > len(all)/most {
		return nil, nil, failed(exitUsage, "%s excludes %d of %d mutants, more than one in %d", equivalentList, len(equivalent), len(all), most)
	}
	if s.o.mutants.sample > 0 {
		chosen = mutant.Sample(chosen, s.o.mutants.sample, s.o.mutants.seed)
	}
	if !s.a.asJSON && !s.o.mutants.fixed {
		fmt.Fprintf(s.a.err, "%d mutants, %d of all equivalent; trying %d\n", of, len(equivalent), len(chosen))
	}
	return chosen, equivalent, nil
}

// inFiles are the mutants in files that match one of the patterns; without any, all.
func inFiles(all []mutant.Mutant, patterns []string) (list []mutant.Mutant, err error) {
	matched := make([]bool, len(patterns))
	for i := range all {
		in := len(patterns) == 0
		for j, p := range patterns {
			is, err := path.Match(p, all[i].File)
			if err != nil {
				return nil, failed(exitUsage, "--files %s: %v", p, err)
			}
			in, matched[j] = in || is, matched[j] || is
		}
		if in {
			list = append(list, all[i])
		}
	}
	if i := slices.Index(matched, false); i >= 0 {
		return nil, failed(exitUsage, "--files %s: no file of the packages that has mutants is called that", patterns[i])
	}
	return list, nil
}

// readList reads a list; there may be none.
func readList[T any](path string, read func(io.Reader) (T, error)) (list T, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return list, nil
	}
	if err != nil {
		return list, failed(exitUsage, "%v", err)
	}
	defer f.Close()
	if list, err = read(f); err != nil {
		return list, failed(exitUsage, "%s: %v", path, err)
	}
	return list, nil
}

// build builds what the mutants are tried with.
func (s *scoring) build(ctx context.Context, chosen []mutant.Mutant) error {
	s.program = filepath.Join(s.dir, "statehouse-sim")
	err := s.overlay.Build(ctx, s.root, "./cmd/statehouse-sim", s.dir, s.program)
	if err == nil && s.o.mutants.live {
		s.daemon = filepath.Join(s.dir, "statehoused")
		err = s.overlay.Build(ctx, s.root, "./cmd/statehoused", s.dir, s.daemon)
	}
	if err == nil && s.o.mutants.tests {
		err = s.buildTests(ctx, chosen)
	}
	return err
}

// control runs everything with no mutant on. Nothing may fail, the switches alone may change
// nothing, and what comes by a mutant is noted.
func (s *scoring) control(ctx context.Context) error {
	if err := s.recordTests(ctx); err != nil {
		return err
	}
	own, err := newFleet(s.o.workers)
	if err != nil {
		return err
	}
	sums := make(map[uint64]uint64)
	seeds := jobsOf(unchanged)
	if err := own.run(ctx, seeds, func(o outcome) { sums[o.Seed] = o.Sum }); err != nil {
		return err
	}
	recording := &fleet{size: s.o.workers, binary: s.program, recycle: 500, env: []string{toggle.Variable + "=" + toggle.Record}}
	jobs := jobsOf(unchanged)
	if !s.o.mutants.fixed {
		jobs = jobsOf(s.o.mutants.seeds, s.files...)
	}
	var wrong error
	err = recording.run(ctx, jobs, func(o outcome) {
		switch saw := whatFailed(&o); {
		case saw != "":
			wrong = failed(exitViolation, "with no mutant on, %s fails: %s", cmp.Or(o.File, fmt.Sprintf("seed %d", o.Seed)), saw)
		case sums[o.Seed] != 0 && sums[o.Seed] != o.Sum:
			wrong = differs(o.Seed)
		}
		for _, n := range o.Reached {
			if o.File != "" {
				s.scenarios[n] = append(s.scenarios[n], o.File)
			} else {
				s.seeds[n] = append(s.seeds[n], o.Seed)
			}
		}
	})
	if ctx.Err() != nil {
		return failed(exitInterrupted, "interrupted")
	}
	for n := range s.seeds { // each sorted by itself: order cannot matter
		slices.Sort(s.seeds[n])
	}
	for n := range s.scenarios { // likewise: order cannot matter
		slices.Sort(s.scenarios[n])
	}
	return errors.Join(err, wrong)
}

// jobsOf hands out so many seeds, from 1, and files of scenarios.
func jobsOf(seeds int, files ...string) func() (job, bool) {
	n := 0
	return func() (job, bool) {
		n++
		switch {
		case n <= seeds:
			return job{Seed: uint64(n)}, true
		case n <= seeds+len(files):
			return job{Scenario: files[n-seeds-1]}, true
		}
		return job{}, false
	}
}

// tryAll tries mutants, some at a time, and prints what became of each at once: a long run
// that is interrupted has said what it knows. The results are in the order of the list.
func (s *scoring) tryAll(ctx context.Context, list []mutant.Mutant) (results []mutant.Result) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := make(chan mutant.Mutant)
	killed, p := 0, s.a.newProgress()
	for range s.o.workers {
		wg.Go(func() {
			for m := range next {
				r := s.try(ctx, m)
				mu.Lock()
				if ctx.Err() == nil {
					results = append(results, r)
					s.printResult(&r)
				}
				if r.Seen() {
					killed++
				}
				p.show(func(time.Time) string {
					return fmt.Sprintf("%d of %d mutants, %d killed", len(results), len(list), killed)
				})
				mu.Unlock()
			}
		})
	}
	for _, m := range list {
		if ctx.Err() == nil {
			next <- m
		}
	}
	close(next)
	wg.Wait()
	s.a.clearLine()
	slices.SortFunc(results, func(a, b mutant.Result) int { return cmp.Compare(a.Number, b.Number) })
	return results
}
