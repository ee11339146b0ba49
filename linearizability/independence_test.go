package linearizability

import (
	"go/types"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// shared are the functions of package history that both judges call. A rule of judging must
// not be among them, for a mistake in it would blind both: what is shared is format.
var shared = []string{
	"AgentNames",   // the agents that a request names
	"Arguments",    // what belongs to an operation of a transact
	"AsBytes",      // the parts of a value that is bytes
	"ByOperator",   // that no client asks for an event, as it says itself
	"CompareNames", // the order of names
	"Covered",      // the agents that the log has
	"End",          // when an operation was over
	"Evaluates",    // that the daemon decides what an operation writes
	"LastShown",    // the name that a page ends with
	"Name",         // the record that a request names
	"Named",        // the record that a refusal names
	"Normal",       // the form in which equal values are equal text
	"Rounded",      // the same for readers of doubles
	"Says",         // whether a detail of a refusal is a number
}

// TestJudgesShareFormatOnly: neither judge, with the rooms inside it, imports the other, and what
// both call of package history is on the list.
func TestJudgesShareFormatOnly(t *testing.T) {
	single(t)
	const judges, room = "statehouse.dev/statehouse/linearizability/", "statehouse.dev/statehouse/history"
	names := [2]string{judges + "oracle", judges + "serial"}
	calls := [2]map[string]bool{{}, {}}
	of := func(path, judge string) bool { return path == judge || strings.HasPrefix(path, judge+"/") }
	for i, name := range names {
		pkgs, err := packages.Load(&packages.Config{
			Mode: packages.NeedName | packages.NeedImports | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedDeps,
		}, name+"/...")
		if err != nil || len(pkgs) == 0 || packages.PrintErrors(pkgs) > 0 {
			t.Fatal(len(pkgs), err)
		}
		for _, p := range pkgs {
			for _, used := range p.TypesInfo.Uses { // a set: order cannot matter
				if f, ok := used.(*types.Func); ok && f.Pkg() != nil && f.Pkg().Path() == room {
					calls[i][f.Name()] = true
				}
			}
			for path := range p.Imports { // each on its own: order cannot matter
				if of(path, names[1-i]) {
					t.Errorf("%s imports %s", p.PkgPath, path)
				}
			}
		}
	}
	both := maps.Clone(calls[0])
	maps.DeleteFunc(both, func(name string, _ bool) bool { return !calls[1][name] })
	if got := slices.Sorted(maps.Keys(both)); !slices.Equal(got, shared) {
		t.Errorf("both judges call %v of package history, want %v", got, shared)
	}
}
