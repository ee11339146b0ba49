package mutant

import (
	"cmp"
	"context"
	"fmt"
	"go/ast"
	"go/types"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// Mutant is a mistake made by rule.
type Mutant struct {
	// ID tells it from all others, and stays what it is while the function and the statement
	// that it is in do: package, function, rule, a hash of the text that it changes and of the
	// statement around it, and which it is of those where both are the same.
	ID       string `json:"id"`
	Number   uint32 `json:"-"` // in the overlay that it was generated with
	Package  string `json:"package"`
	Function string `json:"function"`
	Rule     string `json:"rule"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Change   string `json:"change"` // what stands there, and what becomes of it
}

// Room is the package at the top of the repository that a mutant is in, or in a part of.
func (m *Mutant) Room() string {
	room, _, _ := strings.Cut(m.Package, "/")
	return room
}

// Generate makes every mutant of the packages that the patterns name, in the order of their
// places, and the overlay that they are all in.
func Generate(ctx context.Context, root string, patterns []string) ([]Mutant, Overlay, error) {
	loaded, err := packages.Load(&packages.Config{
		Context: ctx, Dir: root, BuildFlags: []string{"-tags", "grpcnotrace"},
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo,
	}, patterns...)
	if err != nil {
		return nil, nil, fmt.Errorf("loading the packages: %w", err)
	}
	g := &generator{root: root, overlay: make(Overlay), same: make(map[string]int)}
	slices.SortFunc(loaded, func(a, b *packages.Package) int { return cmp.Compare(a.PkgPath, b.PkgPath) })
	for _, p := range loaded {
		if len(p.Errors) > 0 {
			return nil, nil, fmt.Errorf("%s: %w", p.PkgPath, p.Errors[0])
		}
		if strings.HasSuffix(p.Name, "test") {
			continue // it is for tests
		}
		if err := g.mutate(p); err != nil {
			return nil, nil, err
		}
	}
	return g.mutants, g.overlay, nil
}

// generator is a Generate on the way.
type generator struct {
	root    string
	mutants []Mutant
	overlay Overlay
	same    map[string]int // how many have an ID that differs in its last part only
}

func (g *generator) mutate(p *packages.Package) error {
	syntax := slices.Clone(p.Syntax)
	slices.SortFunc(syntax, func(a, b *ast.File) int { return cmp.Compare(p.Fset.File(a.Pos()).Name(), p.Fset.File(b.Pos()).Name()) })
	for _, file := range syntax {
		full := p.Fset.File(file.Pos()).Name()
		path, err := filepath.Rel(g.root, full)
		if err != nil || ast.IsGenerated(file) {
			continue
		}
		text, err := os.ReadFile(full)
		if err != nil {
			return err
		}
		v := &visitor{
			g: g, info: p.TypesInfo, pkg: p.Types,
			source: source{path: filepath.ToSlash(path), text: string(text), fset: p.Fset, file: file},
		}
		for _, d := range file.Decls {
			if fn, is := d.(*ast.FuncDecl); is && fn.Body != nil && !forPeople(fn) {
				v.function(fn)
			}
		}
		if len(v.edits) > 0 {
			v.importAlso(toggleImport)
			g.overlay[v.path] = v.render()
		}
	}
	return nil
}

// forPeople reports whether a function makes text that is for people: no guarantee is about
// words.
func forPeople(fn *ast.FuncDecl) bool {
	return fn.Recv != nil && (fn.Name.Name == "String" || fn.Name.Name == "Error") && fn.Type.Params.NumFields() == 0
}

// visitor makes the mutants of a file.
type visitor struct {
	source
	g    *generator
	info *types.Info
	pkg  *types.Package
	fn   string // the function that it is in
	in   string // the statement or condition that the expression is a part of
}

// mutant takes note of a mutant that changes a node, and returns the text that asks whether
// it is on.
func (v *visitor) mutant(rule string, n ast.Node, becomes string) (number uint32, on string) {
	pkg := filepath.ToSlash(filepath.Dir(v.path))
	was := oneLine(v.slice(n))
	h := fnv.New32a()
	_, _ = h.Write([]byte(was + v.in)) // it cannot fail
	id := fmt.Sprintf("%s:%s:%s:%08x", pkg, v.fn, rule, h.Sum32())
	v.g.same[id]++
	number = uint32(len(v.g.mutants) + 1)
	v.g.mutants = append(v.g.mutants, Mutant{
		ID: fmt.Sprintf("%s:%d", id, v.g.same[id]), Number: number, Package: pkg, Function: v.fn, Rule: rule,
		File: v.path, Line: v.fset.Position(n.Pos()).Line, Change: short(was) + "  =>  " + short(oneLine(becomes)),
	})
	return number, fmt.Sprintf("%s.On(%d)", toggleName, number)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// short is text that fits beside other text on a line.
func short(text string) string {
	const most = 90
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
