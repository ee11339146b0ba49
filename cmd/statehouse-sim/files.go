package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"statehouse.dev/statehouse/history/edn"
	"statehouse.dev/statehouse/history/zst"
)

// Of a directory that is given to ci everything is run, or named as what is not: a file
// passed over in silence would be taken for one that passed.

// fileSort is what a file of a directory is, by its name.
type fileSort int

const (
	unknownFile  fileSort = iota
	scenarioFile          // a scenario
	captureFile           // a captured history
	expectFile            // what verdict a history must be given
	sideFile              // what people and tools leave beside those: nothing to run
)

func sortOf(path string) fileSort {
	name := filepath.Base(path)
	switch ext := filepath.Ext(name); {
	case strings.HasPrefix(name, "."), strings.HasSuffix(name, ".schema.json"), ext == ".md", ext == ".txt", ext == ".html", ext == searchSuffix:
		return sideFile
	case ext == ".yaml", ext == ".yml":
		return scenarioFile
	case ext == ".expect":
		return expectFile
	}
	switch formatOf(name) {
	case ".jsonl", edn.Suffix:
		return captureFile
	}
	return unknownFile
}

// bare is the name of a history without what says its format.
func bare(path string) string {
	return strings.TrimSuffix(strings.TrimSuffix(path, zst.Suffix), formatOf(path))
}

// filesIn lists what is to be run of a directory and those in it, in the order of their
// names.
func filesIn(dir string, histories bool) (list []string, err error) {
	expects := make(map[string]bool) // of histories not met yet
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return failed(exitUsage, "%v", err)
		}
		hidden := strings.HasPrefix(e.Name(), ".") && path != dir
		switch what := sortOf(path); {
		case e.IsDir() && hidden:
			return fs.SkipDir
		case e.IsDir() || what == sideFile:
		case what == scenarioFile, what == captureFile && histories:
			list = append(list, path)
		case what == expectFile && histories:
			expects[path] = true
		case what == captureFile:
			return failed(exitUsage, "%s is a history, and would not be judged here: histories are for --regressions", path)
		default:
			return failed(exitUsage, "%s would not be run: a scenario ends in .yaml, a history in .jsonl or .edn (and .zst), what it must show in .expect; notes may end in .md or .txt", path)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, path := range list {
		if sortOf(path) == captureFile {
			delete(expects, bare(path)+".expect")
		}
	}
	for path := range expects { // any of them is wrong: order cannot matter
		return nil, failed(exitUsage, "%s speaks of a history that is not there", path)
	}
	return list, nil
}

// scenarioDir is where scenarios are by default.
const scenarioDir = "scenarios"

// scenarioFiles lists the scenarios meant: files, and those in directories.
func scenarioFiles(paths []string) (list []string, err error) {
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return nil, failed(exitUsage, "%v", err)
		case !info.IsDir():
			list = append(list, path)
			continue
		}
		inside, err := filesIn(path, false)
		switch {
		case err != nil:
			return nil, err
		case len(inside) == 0:
			return nil, failed(exitUsage, "there are no scenarios in %s", path)
		}
		list = append(list, inside...)
	}
	return list, nil
}

// inputs lists what a ci is to run: the scenarios of paths, or of the usual directory,
// and the regressions.
func (o *ciFlags) inputs(paths []string) (scenarios, regressions []string, err error) {
	switch {
	case o.noScenarios && len(paths) > 0:
		return nil, nil, failed(exitUsage, "--no-scenarios, and scenarios: %s", strings.Join(paths, " "))
	case !o.noScenarios && len(paths) == 0:
		if _, err := os.Stat(scenarioDir); errors.Is(err, fs.ErrNotExist) {
			return nil, nil, failed(exitUsage, "there is no directory %s here: name your scenarios, or say --no-scenarios", scenarioDir)
		}
		paths = []string{scenarioDir}
	}
	if scenarios, err = scenarioFiles(paths); err != nil || o.regressions == "" {
		return scenarios, nil, err
	}
	regressions, err = filesIn(o.regressions, true)
	if err == nil && len(regressions) == 0 && o.regressionsGiven {
		err = failed(exitUsage, "there is nothing to run in %s", o.regressions)
	}
	return scenarios, regressions, err
}
