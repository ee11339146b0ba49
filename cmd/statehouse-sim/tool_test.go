package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

// tool runs statehouse-sim.
func tool(t *testing.T, args ...string) (code int, out, err string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = execute(t.Context(), newRoot(strings.NewReader(""), &stdout, &stderr), args)
	return code, stdout.String(), stderr.String()
}

// unraced marks a test that runs worlds, or reads much, on one thread.
func unraced(t *testing.T) {
	t.Helper()
	if underRace {
		t.Skip("one thread's work: .ci/sim runs it without the race detector")
	}
}

// words are those of a command line: blanks between single quotes part none.
func words(line string) (list []string) {
	for _, m := range regexp.MustCompile(`'([^']*)'|(\S+)`).FindAllStringSubmatch(line, -1) {
		list = append(list, m[1]+m[2])
	}
	return list
}
