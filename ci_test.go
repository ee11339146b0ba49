package statehouse

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCachesWithoutHome: where there is no home directory, or none that can be written to,
// make puts Go's caches elsewhere; with one they are where Go has them.
func TestCachesWithoutHome(t *testing.T) {
	caches := []string{"HOME=", "GOCACHE=", "GOMODCACHE=", "GOPATH=", "XDG_CACHE_HOME="}
	rest := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return slices.ContainsFunc(caches, func(name string) bool { return strings.HasPrefix(v, name) })
	})
	for home, want := range map[string]string{ // each on its own: order cannot matter
		"":                       "GOCACHE\nGOMODCACHE\n",
		"HOME=/dev/null/nowhere": "GOCACHE\nGOMODCACHE\n",
		"HOME=" + t.TempDir():    "",
	} {
		cmd := exec.CommandContext(t.Context(), "bash", ".ci/gocache")
		cmd.Env = rest
		if home != "" {
			cmd.Env = append(slices.Clone(rest), home)
		}
		if out, err := cmd.Output(); err != nil || string(out) != want {
			t.Errorf("%s: %v, %q, want %q", home, err, out, want)
		}
	}
}

// TestSerialPackages: what is not run under the race detector starts no goroutine, neither the
// package nor its tests.
func TestSerialPackages(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), ".ci/packages", "serial").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range strings.Fields(string(out)) {
		if dir == "./sim" {
			continue // its goroutines are the processes of a world, and take turns
		}
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Errorf("%s: no Go files (%v)", dir, err)
		}
		for _, file := range files {
			tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				if starts(n) {
					t.Errorf("%s starts a goroutine: take %s off the list in .ci/packages", file, dir)
				}
				return true
			})
		}
	}
}

// starts reports whether a part of a file starts a goroutine.
func starts(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		return true
	case *ast.CallExpr:
		s, is := n.Fun.(*ast.SelectorExpr)
		return is && (s.Sel.Name == "Go" || s.Sel.Name == "Parallel")
	}
	return false
}
