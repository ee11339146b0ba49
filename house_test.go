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

type ban struct{ prefix, why string }

// reach says what a program does not even link, through however many rooms. gRPC is built
// as the Makefile does: without the tag it brings golang.org/x/net/trace along.
var reach = map[string][]ban{
	"cmd/statehoused": {
		{module + "/linearizability", "the daemon does not know that it is judged"},
		{module + "/sim", "nor that it is simulated"},
		{"github.com/anishathalye/porcupine", "judges are no part of production"},
		{"html/template", "it renders nothing, and its linker drops more without"},
		{"google.golang.org/grpc/encoding/gzip", "it refuses compressed requests, bombs among them, by having no decompressor"},
	},
	"cmd/statehousectl": {
		{module + "/engine", "the tool speaks the wire"},
		{module + "/server", "as above"},
		{module + "/sim", "it works on real daemons"},
		{module + "/linearizability", "statehouse-sim is what judges"},
		{"github.com/cockroachdb/pebble", "a tool on the wire has no storage"},
		{"github.com/anishathalye/porcupine", "judges are no part of it"},
		{"html/template", "it renders nothing"},
		{"github.com/prometheus", "it reads metrics as text"},
		{"go.opentelemetry.io", "a client has no traces but its user's"},
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

// testsDaemon are the rooms that may import client/statehousetest.
var testsDaemon = []string{"cmd/statehouse-sim"}

// core are the rooms that the simulator runs.
var core = []string{"client/members", "client/session", "cluster/node", "engine", "engine/fair", "engine/jsonedit", "engine/jsonform", "engine/jsontext", "engine/layout", "engine/words", "server", "server/access", "server/admin", "server/admission", "server/answer", "server/backup", "server/captures", "server/filter", "server/gate", "server/jsonpatch", "server/limiter", "server/lookout", "server/meter", "server/page", "server/session", "server/unsent", "server/wire", "history/capture"}

// pure files of the engine import nothing that can do I/O.
var pureFiles = []string{
	"txn.go", "plan.go", "proposal.go", "ranges.go", "fingerprint.go", "types.go",
	"limits.go", "hidden.go", "cache.go",
	"evaluate.go", "evaluated.go", "increment.go", "mergepatch.go", "sequence.go", "ifabsent.go", "lease.go",
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
				bans, known = clusterDoors[room(p)]
			}
			if !known {
				bans, known = engineDoors[room(p)]
			}
			if !known {
				t.Errorf("%s is not on the map: say in house_doors_test.go what it may not import", p.PkgPath)
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
	t.Run("tests", func(t *testing.T) { // test files are not loaded: they may
		for _, p := range pkgs {
			if p.Imports[module+"/cluster/clustertest"] != nil {
				t.Errorf("%s imports cluster/clustertest, which is for tests", p.PkgPath)
			}
			if p.Imports[module+"/client/statehousetest"] != nil && !slices.Contains(testsDaemon, room(p)) {
				t.Errorf("%s imports client/statehousetest: it runs a daemon for tests, and would link the engine", p.PkgPath)
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
