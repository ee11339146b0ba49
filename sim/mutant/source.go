package mutant

import (
	"cmp"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// How the overlay calls package toggle: as nothing else in a file is called.
const (
	toggleName   = "mutant__"
	toggleImport = toggleName + ` "statehouse.dev/statehouse/sim/mutant/toggle"`
)

// source is a file and what is to be put into it. Nothing of it is ever replaced by
// something else: mutants are made by putting text around what stands there, so that they
// can be nested, and the lines keep their numbers.
type source struct {
	path string // from the root of the repository
	text string
	fset *token.FileSet
	file *ast.File

	edits    []edit
	imported []string
}

// edit puts text around a piece of a file, which may be empty, or a name in the place of
// the blank one.
type edit struct {
	from, to    int
	open, close string
	blank       bool
}

func (s *source) at(p token.Pos) int { return s.fset.Position(p).Offset }

// slice is the text of a node.
func (s *source) slice(n ast.Node) string { return s.text[s.at(n.Pos()):s.at(n.End())] }

// around puts text around a node. What is put around the same node later goes further in.
func (s *source) around(n ast.Node, open, shut string) {
	s.edits = append(s.edits, edit{from: s.at(n.Pos()), to: s.at(n.End()), open: open, close: shut})
}

// insert puts text in front of what stands at a place.
func (s *source) insert(at token.Pos, text string) {
	s.edits = append(s.edits, edit{from: s.at(at), to: s.at(at), open: text})
}

// name puts a name in the place of the blank one, or of none.
func (s *source) name(at token.Pos, name string) {
	e := edit{from: s.at(at), to: s.at(at), open: name, blank: s.text[s.at(at)] == '_' && !strings.HasSuffix(name, " ")}
	if !slices.Contains(s.edits, e) { // another variant has named it already
		s.edits = append(s.edits, e)
	}
}

// importAlso has the file import one more package. It is put on the line of the package
// clause.
func (s *source) importAlso(spec string) {
	if !slices.Contains(s.imported, spec) {
		s.imported = append(s.imported, spec)
		s.insert(s.file.Name.End(), "; import "+spec)
	}
}

// render is the text with everything put in.
func (s *source) render() string {
	type mark struct {
		at, other int // other is the far end of the piece
		order     int
		text      string
		closing   bool
		skip      int
	}
	var marks []mark
	for i, e := range s.edits {
		m := mark{at: e.from, other: e.to, order: i, text: e.open}
		if e.blank {
			m.skip = 1
		}
		marks = append(marks, m)
		if e.close != "" {
			marks = append(marks, mark{at: e.to, other: e.from, order: -i, text: e.close, closing: true})
		}
	}
	slices.SortStableFunc(marks, func(a, b mark) int {
		if a.at != b.at {
			return cmp.Compare(a.at, b.at)
		}
		if a.closing != b.closing { // what ends here is outside of what begins here
			if a.closing {
				return -1
			}
			return 1
		}
		// The larger piece opens first and closes last.
		return cmp.Or(cmp.Compare(b.other, a.other), cmp.Compare(a.order, b.order))
	})
	var b strings.Builder
	last := 0
	for _, m := range marks {
		b.WriteString(s.text[last:m.at])
		b.WriteString(m.text)
		last = m.at + m.skip
	}
	b.WriteString(s.text[last:])
	return b.String()
}
