package statehouse

import (
	"go/ast"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

const module = "statehouse.dev/statehouse"

// doors says which rooms a room may not import, and why. A room that is not
// here must be added: the map of the house is policy, not a habit.
var doors = map[string][]ban{
	"engine": {
		{module + "/", "the engine is the ground floor: nothing of ours stands below it"},
		{"google.golang.org/grpc", "the state machine knows nothing of transports"},
		{"google.golang.org/protobuf", "the contract is translated at the edge, in server"},
		{"github.com/spf13/cobra", "flags belong to commands"},
	},
	"server": {
		{"github.com/cockroachdb/pebble", "storage is the engine's: what the server needs of it, the engine says in its own words"},
		{module + "/sim", "production code does not know that it is simulated"},
		{module + "/linearizability", "production code does not know that it is judged"},
		{module + "/client", "the service must not lean on its own client"},
		{module + "/cmd", "commands are the outermost room"},
	},
	"server/structwire": {
		{module + "/server", "it is about bytes of one type, and knows of no service"},
		{module + "/history", "as above"},
	},
	"server/limiter": {
		{module + "/server", "it bounds whatever it is given"},
		{module + "/proto", "as above"},
		{module + "/history", "as above"},
		{"google.golang.org/grpc", "as above"},
		{"github.com/cockroachdb/pebble", "storage is the engine's"},
	},
	"server/unsent": {
		{module + "/proto", "it counts messages and connections, and knows of no method"},
		{module + "/history", "as above"},
		{module + "/server/conns", "what requests hold is counted there, what answers hold here"},
		{"github.com/cockroachdb/pebble", "storage is the engine's"},
	},
	"server/session": {
		{module + "/", "it carries requests, and knows of no method"},
		{"github.com/cockroachdb/pebble", "storage is the engine's"},
	},
	"server/captures": {
		{module + "/server/conns", "it records what is asked, however it is let in"},
		{module + "/server/limiter", "as above"},
		{module + "/sim", "production code does not know that it is simulated"},
		{module + "/linearizability", "production code does not know that it is judged"},
		{"github.com/cockroachdb/pebble", "storage is the engine's, and a ring's files are those of the seam"},
	},
	"server/wiretest": {
		{module + "/", "it is for tests, and about bytes"},
	},
	"server/conns": {
		{module + "/", "it stands between gRPC and the network and knows of no service"},
	},
	"client": {
		{module + "/engine", "a client that shares code with the engine cannot catch the engine lying"},
		{module + "/server", "as for the engine"},
		{module + "/sim", "production code does not know that it is simulated"},
		{"github.com/cockroachdb/pebble", "a client has no storage"},
	},
	"client/footprint": {
		{module + "/client", "it is what a transaction holds: its client asks, and says what a failure means"},
		{module + "/engine", "a client that shares code with the engine cannot catch the engine lying"},
		{module + "/server", "as for the engine"},
		{module + "/history", "it knows of one transaction, and of nobody who looks on"},
		{module + "/sim", "production code does not know that it is simulated"},
		{"google.golang.org/grpc", "it makes no call"},
	},
	"client/reach": {
		{module + "/", "it makes connections, and knows of nothing that is said on one"},
	},
	"client/session": {
		{module + "/engine", "as for the client"},
		{module + "/server", "what it shares with the other end is the contract"},
		{module + "/sim", "production code does not know that it is simulated"},
		{module + "/client", "it carries calls, whoever makes them"},
		{"github.com/cockroachdb/pebble", "a client has no storage"},
	},
	"proto/statehouse/v1": {
		{module + "/", "the contract depends on nothing of ours"},
	},
	"sim": {
		{module + "/cmd", "commands are the outermost room"},
		{module + "/sim/scenario", "a world knows steps, not whoever wrote them"},
		{module + "/sim/fuzz", "a world draws nothing: what happens in it is said by its steps"},
		{module + "/sim/repro", "a world does not know what it is compared with"},
		{module + "/sim/workload", "clients come to a world from outside"},
		{module + "/sim/live", "a simulated world has no real daemon"},
		{module + "/sim/planted", "a world does not know that it is tested"},
		{"github.com/cockroachdb/pebble", "the store is reached through the engine, on a simulated disk"},
		{"gopkg.in/yaml.v3", "files are read by sim/scenario"},
	},
	"sim/tamper": { // alone of the simulator it opens Pebble: what it does must be past the engine
		{module + "/", "it changes stores by docs/FORMAT.md: with the engine's own code it would make the engine's mistakes"},
	},
	"sim/deserved": {
		{module + "/engine", "it states the contract's rules anew, and never by the code that is held to them"},
		{module + "/server", "as above"},
		{module + "/sim/", "it is told what a world knows"},
		{module + "/linearizability", "the state of records is judged there, refusals here"},
	},
	"sim/sched": {
		{module + "/", "it knows coroutines and goroutines, and nothing of what they do"},
	},
	"sim/bounds": {
		{module + "/linearizability/oracle", "it judges sizes, and the history's judges know of none"},
		{module + "/linearizability/serial", "as above"},
		{module + "/sim/", "a world sets bounds; they know no world"},
	},
	"sim/step": {
		{module + "/engine", "it is text: a step is carried out by sim"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{module + "/linearizability", "as above"},
		{module + "/sim/sched", "as above"},
	},
	"sim/scenario": {
		{module + "/sim/fuzz", "nothing in a scenario is random"},
		{module + "/sim/repro", "a scenario stands for itself, wherever it came from"},
		{module + "/engine", "a scenario knows the world by its steps"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
	},
	"sim/fuzz": {
		{module + "/sim/repro", "made-up runs do not know of captured ones"},
		{module + "/engine", "what is drawn becomes steps; a world carries them out"},
		{module + "/server", "as above"},
	},
	"sim/repro": {
		{module + "/engine", "what was captured becomes steps; a world carries them out"},
		{module + "/server", "as above"},
		{module + "/client", "what clients asked is in the history"},
	},
	"sim/simtest": {
		{module + "/", "it is what tests of worlds share, whichever they are"},
	},
	"sim/intent": {
		{module + "/engine", "what a client's user is told is judged by the log of the run"},
		{module + "/server", "as above"},
		{module + "/proto", "it stands above the client: what goes over the wire is recorded elsewhere"},
		{module + "/sim", "it knows clients and histories, simulated or not"},
	},
	"sim/workload": {
		{module + "/engine", "a program that uses Statehouse knows its client and nothing else"},
		{module + "/server", "as above"},
		{module + "/sim/simdisk", "as above"},
	},
	"history/capture": {
		{module + "/engine", "what the log holds is asked of a Source, which may be anything"},
		{module + "/server", "it stands in front of a service and knows none"},
		{module + "/sim", "production code does not know that it is simulated"},
		{module + "/linearizability", "production code does not know that it is judged"},
		{"github.com/cockroachdb/pebble", "a ring is a few files, which the seam gives"},
	},
	"history/zst": {
		{module + "/", "it is about bytes"},
	},
	"history/edn": {
		{module + "/engine", "a history is all it knows"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{module + "/proto", "as above"},
		{module + "/sim", "as above"},
	},
	"history/record": {
		{module + "/engine", "what is recorded is what goes over the wire"},
		{module + "/server", "as above"},
	},
	"history/bundle": {
		{module + "/engine", "a bundle is opened where there is no store"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{module + "/proto", "as above"},
		{module + "/sim", "as above"},
	},
	"history/redact": {
		{module + "/engine", "it redacts what was recorded, whoever recorded it"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{module + "/proto", "as above"},
		{module + "/sim", "production code uses it"},
	},
	"sim/live": {
		{module + "/server", "what it judges is the real daemon, in a process of its own"},
		{module + "/sim/simdisk", "the disk is the real one"},
		{module + "/cmd", "commands are the outermost room"},
		{"github.com/cockroachdb/pebble", "verify reaches the store through the engine"},
	},
	"sim/interleave": {
		{module + "/engine", "it rewrites text, and starts what runs it"},
		{module + "/server", "as above"},
		{module + "/sim/fuzz", "an interleaving is drawn by its own process"},
		{"github.com/cockroachdb/pebble", "as above"},
	},
	"sim/interleave/turns": {
		{module + "/", "production code is built on it, and it knows nothing of that"},
	},
	"sim/interleave/rewrite": {
		{module + "/", "it is about text"},
	},
	"sim/interleave/programs": {
		{module + "/cmd", "commands are the outermost room"},
		{module + "/client", "what is interleaved is below the wire"},
		{module + "/sim/planted", "a program does not know that it is tested"},
	},
	"sim/interleave/explore": {
		{module + "/engine", "it runs programs and knows none"},
		{module + "/server", "as above"},
		{"github.com/spf13/cobra", "its flags are JSON: it is started by a program"},
	},
	"sim/planted": {
		{module + "/engine", "bugs are edits of source text: nothing of it is imported"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{module + "/cmd", "as above"},
	},
	"sim/mutant": {
		{module + "/engine", "mutants are made of source text: nothing of it is imported"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{module + "/cmd", "as above"},
	},
	"sim/mutant/toggle": {
		{module + "/", "it is linked into the code that is mutated, and can rest on none of it"},
	},
	"cmd/statehouse-sim": {
		{"github.com/cockroachdb/pebble", "the simulator reaches a store through the engine, on a simulated disk"},
	},
	"sim/simdisk": {
		{module + "/", "a disk knows nothing of what is stored on it"},
	},
	"history": {
		{module + "/", "a history is format: it knows neither who recorded it nor who judges it"},
		{"google.golang.org/", "a history can come from anywhere, whatever it was spoken over"},
		{"github.com/cockroachdb/", "as above"},
	},
	"linearizability": {
		{module + "/engine", "the judge shares no code with the judged"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{module + "/sim", "as above"},
		{module + "/proto", "a history can come from anywhere, whatever it was spoken over"},
	},
	"linearizability/verdict": {
		{module + "/", "it is the words of a verdict, and no rule"},
	},
	"linearizability/oracle": {
		{module + "/linearizability/serial", "a mistake in a rule that both share would blind both"},
		{module + "/engine", "the judge shares no code with the judged"},
		{module + "/server", "as above"},
		{module + "/proto", "as above"},
		{"github.com/anishathalye/porcupine", "the search is the other judge's"},
	},
	"linearizability/oracle/request": {
		{module + "/linearizability", "it compares requests, whatever they were answered"},
		{module + "/engine", "the judge shares no code with the judged: fingerprints least of all"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{module + "/proto", "as above"},
	},
	"linearizability/oracle/model": {
		{module + "/linearizability/oracle", "it is what the log says, and knows no answer"},
		{module + "/linearizability/serial", "a mistake in a rule that both share would blind both"},
		{module + "/engine", "the judge shares no code with the judged"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{module + "/proto", "as above"},
	},
	"linearizability/serial": {
		{module + "/linearizability/oracle", "a mistake in a rule that both share would blind both"},
		{module + "/engine", "the judge shares no code with the judged"},
		{module + "/server", "as above"},
		{module + "/proto", "as above"},
	},

	"cmd/statehoused": {
		{module + "/sim", "the daemon does not know that it is simulated"},
		{module + "/linearizability", "nor that it is judged"},
		{module + "/client", "the daemon serves; it does not call itself"},
		{"github.com/cockroachdb/pebble", "storage is the engine's"},
	},
	"cmd/interrupt": {
		{module + "/", "it is about signals"},
	},
	"cmd/beside": {
		{module + "/", "it runs programs and knows none"},
	},
	"cmd/show": {
		{module + "/", "it shows what it is given, wherever that comes from"},
	},
	"cmd/connect": {
		{module + "/engine", "it says where a daemon is, to whoever speaks to it"},
		{module + "/server", "as above"},
		{module + "/history", "as above"},
		{module + "/sim", "as above"},
		{module + "/linearizability", "as above"},
	},
	"cmd/statehousectl": {
		{module + "/engine", "the tool speaks the wire: statehoused is what reads stores"},
		{module + "/server", "what the tool knows of a daemon it learns over the wire"},
		{module + "/sim", "the operator's tool works on real daemons"},
		{module + "/linearizability", "statehouse-sim is what judges"},
		{"github.com/cockroachdb/pebble", "a tool on the wire has no storage"},
	},
	"cmd/statehouse-bench": {
		{module + "/engine", "it measures what a client sees: the engine has benchmarks of its own"},
		{module + "/server", "it measures a daemon over the wire"},
		{module + "/history", "as above"},
		{module + "/sim", "as above"},
		{module + "/linearizability", "as above"},
		{"github.com/cockroachdb/pebble", "as above"},
	},
	"cmd/statehouse-bench/bench": {
		{module + "/proto", "it measures targets, and knows no protocol"},
		{module + "/engine", "as above"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{"google.golang.org/", "as above"},
		{"github.com/cockroachdb/pebble", "as above"},
	},
	"cmd/statehouse-bench/child": {
		{module + "/", "it runs programs and knows none"},
	},
	"cmd/statehouse-bench/wire": {
		{module + "/engine", "it measures a daemon over the wire"},
		{module + "/server", "as above"},
		{module + "/client", "retries and encodings of a client would be measured as well"},
		{"github.com/cockroachdb/pebble", "as above"},
	},
	"cmd/statehouse-bench/noop": {
		{module + "/engine", "it does nothing, and needs nothing to do it"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
	},
	"cmd/statehouse-bench/rivals": {
		{module + "/proto", "it is about other databases"},
		{module + "/engine", "as above"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
	},
	"": {},
}

type ban struct{ prefix, why string }

// reach says what a program does not even link, through however many rooms. gRPC is built
// as the Makefile does: without the tag it brings golang.org/x/net/trace along.
var reach = map[string][]ban{
	"cmd/statehoused": {
		{module + "/linearizability", "the daemon does not know that it is judged"},
		{module + "/sim", "nor that it is simulated"},
		{"github.com/anishathalye/porcupine", "judges are no part of production"},
		{"html/template", "it renders nothing, and its linker drops more without"},
	},
	"cmd/statehousectl": {
		{module + "/engine", "the tool speaks the wire"},
		{module + "/server", "as above"},
		{module + "/sim", "it works on real daemons"},
		{module + "/linearizability", "statehouse-sim is what judges"},
		{"github.com/cockroachdb/pebble", "a tool on the wire has no storage"},
		{"github.com/anishathalye/porcupine", "judges are no part of it"},
		{"html/template", "it renders nothing"},
	},
	"cmd/statehouse-bench": {
		{module + "/engine", "it measures over the wire"},
		{module + "/server", "as above"},
		{"github.com/cockroachdb/pebble", "as above"},
	},
}

// Files that may do what the core may not. Everything else of the core must be a function of
// the values it is given.
var (
	clockFiles = []string{"client/session/env.go", "engine/env_os.go", "engine/loop.go", "server/serve.go", "server/session/env_os.go", "history/capture/env_os.go"}
	goFiles    = []string{"client/session/env.go", "server/receive.go", "server/serve.go", "server/session/env_os.go", "history/capture/env_os.go"}
	osFiles    = []string{"history/capture/env_os.go"}
)

// core are the rooms that the simulator runs.
var core = []string{"client/session", "engine", "server", "server/captures", "server/limiter", "server/session", "server/unsent", "history/capture"}

// pure files of the engine import nothing that can do I/O.
var pureFiles = []string{
	"txn.go", "plan.go", "proposal.go", "ranges.go", "fingerprint.go", "normalform.go", "keys.go", "rows.go", "codec.go", "types.go",
	"limits.go", "value.go", "valuetext.go", "valuekeys.go", "cache.go", "errors.go",
}

func load(t *testing.T) []*packages.Package {
	t.Helper()
	pkgs, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo,
	}, "./...")
	if err != nil {
		t.Fatal(err)
	}
	if packages.PrintErrors(pkgs) > 0 {
		t.Fatal("the packages do not load")
	}
	return pkgs
}

func room(p *packages.Package) string {
	return strings.TrimPrefix(strings.TrimPrefix(p.PkgPath, module), "/")
}

func TestHouse(t *testing.T) {
	pkgs := load(t)
	t.Run("doors", func(t *testing.T) {
		for _, p := range pkgs {
			bans, known := doors[room(p)]
			if !known {
				t.Errorf("%s is not on the map: say in house_test.go what it may not import", p.PkgPath)
			}
			for imported := range p.Imports {
				for _, b := range bans {
					if strings.HasPrefix(imported, b.prefix) {
						t.Errorf("%s imports %s: %s", p.PkgPath, imported, b.why)
					}
				}
			}
		}
	})
	t.Run("determinism", func(t *testing.T) {
		for _, p := range pkgs {
			if slices.Contains(core, room(p)) {
				checkDeterminism(t, p)
			}
		}
	})
	t.Run("pure", func(t *testing.T) { checkPure(t, pkgs) })
}

// TestReach holds the programs to what they link.
func TestReach(t *testing.T) {
	for program, bans := range reach { // each on its own: order cannot matter
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", "grpcnotrace", "./"+program).Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		for linked := range strings.Lines(string(out)) {
			for _, b := range bans {
				if strings.HasPrefix(linked, b.prefix) {
					t.Errorf("%s links %s: %s", program, strings.TrimSpace(linked), b.why)
				}
			}
		}
	}
}

func checkPure(t *testing.T, pkgs []*packages.Package) {
	seen := 0
	for _, p := range pkgs {
		if room(p) != "engine" {
			continue
		}
		for _, f := range p.Syntax {
			name := filepath.Base(p.Fset.Position(f.Pos()).Filename)
			if !slices.Contains(pureFiles, name) {
				continue
			}
			seen++
			for _, imp := range f.Imports {
				path := strings.Trim(imp.Path.Value, `"`)
				if path == "os" || path == "io" || strings.HasPrefix(path, "net") || strings.Contains(path, "pebble/v2/vfs") ||
					strings.Contains(path, "pebble") && name != "keys.go" {
					t.Errorf("engine/%s imports %s: it decides, others do I/O", name, path)
				}
			}
		}
	}
	if seen != len(pureFiles) {
		t.Errorf("%d of %d pure files were found: has one been renamed?", seen, len(pureFiles))
	}
}

// banned functions, by package path.
var banned = map[string][]string{
	"time":         {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"},
	"context":      {"WithTimeout", "WithTimeoutCause", "WithDeadline", "WithDeadlineCause"},
	"math/rand":    nil, // all of it
	"math/rand/v2": nil,
	"crypto/rand":  nil,
	"os":           nil,
}

func checkDeterminism(t *testing.T, p *packages.Package) {
	for _, f := range p.Syntax {
		file := room(p) + "/" + filepath.Base(p.Fset.Position(f.Pos()).Filename)
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				if !slices.Contains(goFiles, file) {
					t.Errorf("%s: a go statement: the core starts no goroutine", p.Fset.Position(n.Pos()))
				}
			case *ast.SelectorExpr:
				checkCall(t, p, file, n)
			case *ast.RangeStmt:
				if _, isMap := p.TypesInfo.TypeOf(n.X).Underlying().(*types.Map); isMap && !explained(p.Fset, f, n) {
					t.Errorf("%s: ranges over a map without a comment that says why order cannot matter", p.Fset.Position(n.Pos()))
				}
			}
			return true
		})
	}
}

func checkCall(t *testing.T, p *packages.Package, file string, n *ast.SelectorExpr) {
	obj := p.TypesInfo.Uses[n.Sel]
	if obj == nil || obj.Pkg() == nil || obj.Parent() != obj.Pkg().Scope() {
		return // a method or a field
	}
	names, isBanned := banned[obj.Pkg().Path()]
	if !isBanned || names != nil && !slices.Contains(names, n.Sel.Name) {
		return
	}
	if slices.Contains(clockFiles, file) || obj.Pkg().Path() == "os" && slices.Contains(osFiles, file) {
		return
	}
	t.Errorf("%s: uses %s.%s: the core takes time, randomness and files as values (engine.Env, capture.Env)", p.Fset.Position(n.Pos()), obj.Pkg().Path(), n.Sel.Name)
}

// explained looks for "order" in a comment on the range statement's line or the
// one before.
func explained(fset *token.FileSet, f *ast.File, n ast.Node) bool {
	line := fset.Position(n.Pos()).Line
	for _, group := range f.Comments {
		for _, c := range group.List {
			at := fset.Position(c.Pos()).Line
			if (at == line || at == line-1) && (strings.Contains(c.Text, "order") || strings.Contains(c.Text, "sum")) {
				return true
			}
		}
	}
	return false
}

// TestGuaranteesNameTests holds docs/GUARANTEES.md to tests that exist.
func TestGuaranteesNameTests(t *testing.T) {
	exists := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)`).FindAllSubmatch(source, -1) {
			exists[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("docs/GUARANTEES.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`(Test\\w+)`").FindAllSubmatch(page, -1)
	if len(names) < 10 {
		t.Errorf("the page names only %d tests", len(names))
	}
	for _, m := range names {
		if !exists[string(m[1])] {
			t.Errorf("docs/GUARANTEES.md names %s, which there is not", m[1])
		}
	}
}
