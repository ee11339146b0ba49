package mutant

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Variant is a mistake that is given as text: what some files say with it in them.
type Variant struct {
	Name  string
	Files map[string]string // by path from the root of the repository
}

// Combine makes one overlay of variants: the n-th is in the code while number n+1 is on
// (package toggle). A function that variants change keeps its body and gets a copy for each
// of them, and begins by asking which is on.
//
// Only what is inside of functions can stand beside itself. A variant that changes anything
// else, a constant or a type, is left out: alone says why, by name. It needs an overlay of
// its own.
func Combine(root string, variants []Variant) (o Overlay, alone map[string]string, err error) {
	c := &combination{files: make(map[string]*original), added: make(map[string]string)}
	alone = make(map[string]string)
	for i := range variants {
		v := &variants[i]
		changes, err := c.changes(root, v)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", v.Name, err)
		}
		if why := c.refusal(changes); why != "" {
			alone[v.Name] = why
			continue
		}
		for _, ch := range changes {
			c.add(ch, uint32(i+1), v.Name)
		}
	}
	o = make(Overlay)
	for path, f := range c.files { // one file each: order cannot matter
		if len(f.edits) > 0 {
			o[path] = f.render() + f.copies.String()
		}
	}
	return o, alone, nil
}

// combination is a Combine on the way.
type combination struct {
	files map[string]*original
	added map[string]string // functions that variants add: by directory and name, their text
}

// original is a file as it is, and what is put into it.
type original struct {
	source
	copies strings.Builder
}

// change is what a variant makes of one function of a file.
type change struct {
	of       *original
	edited   *source
	key      string
	was      *ast.FuncDecl // nil: the function is new
	is       *ast.FuncDecl
	imports  []string // that the file does not have
	whyAlone string
}

// changes lists what a variant changes, in the order of the files' names and of the text.
func (c *combination) changes(root string, v *Variant) (list []change, err error) {
	for _, path := range slices.Sorted(maps.Keys(v.Files)) {
		f := c.files[path]
		if f == nil {
			text, err := os.ReadFile(filepath.Join(root, path))
			if err != nil {
				return nil, err
			}
			f = &original{}
			if f.source, err = parse(path, string(text)); err != nil {
				return nil, err
			}
			c.files[path] = f
		}
		edited, err := parse(path, v.Files[path])
		if err != nil {
			return nil, err
		}
		list = append(list, f.compare(&edited)...)
	}
	return list, nil
}

// compare lists the functions that differ. Of a difference elsewhere it makes a change that
// says why it cannot stand beside the file as it is.
func (f *original) compare(edited *source) (list []change) {
	fail := func(why string) []change { return []change{{whyAlone: why}} }
	before, now := f.functions(), edited.functions()
	if f.outside() != edited.outside() {
		return fail("it changes what is outside of functions")
	}
	var imports []string
	for _, i := range edited.imports() {
		if !slices.Contains(f.imports(), i) {
			imports = append(imports, i)
		}
	}
	for key := range before { // asked of each: order cannot matter
		if now[key] == nil {
			return fail("it removes a function")
		}
	}
	for _, d := range edited.file.Decls {
		fn, is := d.(*ast.FuncDecl)
		if !is {
			continue
		}
		was := before[keyOf(fn)]
		switch {
		case was != nil && f.slice(was) == edited.slice(fn):
			continue
		case was != nil && f.signature(was) != edited.signature(fn):
			return fail("it changes a function's signature")
		case fn.Name.Name == "init" || fn.Name.Name == "main":
			return fail("it changes what cannot be called")
		}
		list = append(list, change{of: f, edited: edited, key: keyOf(fn), was: was, is: fn, imports: imports})
		imports = nil
	}
	return list
}

// refusal says why changes cannot stand beside those before them.
func (c *combination) refusal(changes []change) string {
	for _, ch := range changes {
		if ch.whyAlone != "" {
			return ch.whyAlone
		}
		before, taken := c.added[ch.addedAs()]
		if ch.was == nil && taken && before != ch.edited.slice(ch.is) {
			return "it adds a function that another one adds, too"
		}
	}
	return ""
}

func (ch *change) addedAs() string { return filepath.Dir(ch.of.path) + " " + ch.key }

// add puts a change into its file.
func (c *combination) add(ch change, n uint32, name string) {
	f := ch.of
	for _, i := range ch.imports {
		f.importAlso(i)
	}
	if ch.was == nil {
		if _, there := c.added[ch.addedAs()]; !there {
			c.added[ch.addedAs()] = ch.edited.slice(ch.is)
			fmt.Fprintf(&f.copies, "\n%s\n", ch.edited.slice(ch.is))
		}
		return
	}
	f.importAlso(toggleImport)
	copied := fmt.Sprintf("%s__%s", ch.is.Name.Name, identifier(name))
	at := ch.edited.at(ch.is.Name.End())
	fmt.Fprintf(&f.copies, "\n%s%s%s\n", ch.edited.text[ch.edited.at(ch.is.Pos()):ch.edited.at(ch.is.Name.Pos())], copied,
		ch.edited.text[at:ch.edited.at(ch.is.End())])
	call := f.call(ch.was, copied)
	f.insert(ch.was.Body.Lbrace+1, fmt.Sprintf(" if %s.On(%d) { %s };", toggleName, n, call))
}

// call calls a copy of a function from its beginning, with all that the function was called
// with. Parameters without a name are given one.
func (f *original) call(fn *ast.FuncDecl, copied string) string {
	if fn.Recv != nil {
		copied = f.names(fn.Recv)[0] + "." + copied
	} else if fn.Type.TypeParams != nil {
		copied += "[" + strings.Join(f.names(fn.Type.TypeParams), ", ") + "]"
	}
	args := strings.Join(f.names(fn.Type.Params), ", ")
	if list := fn.Type.Params.List; len(list) > 0 {
		if _, variadic := list[len(list)-1].Type.(*ast.Ellipsis); variadic {
			args += "..."
		}
	}
	if fn.Type.Results == nil {
		return fmt.Sprintf("%s(%s); return", copied, args)
	}
	return fmt.Sprintf("return %s(%s)", copied, args)
}

func (f *original) names(fields *ast.FieldList) (list []string) {
	fresh := func(at token.Pos, then string) string {
		name := fmt.Sprintf("p%d__", at)
		f.name(at, name+then)
		return name
	}
	for _, field := range fields.List {
		if len(field.Names) == 0 {
			list = append(list, fresh(field.Type.Pos(), " "))
		}
		for _, name := range field.Names {
			if name.Name == "_" {
				list = append(list, fresh(name.Pos(), ""))
				continue
			}
			list = append(list, name.Name)
		}
	}
	return list
}

// identifier is a name of a variant as a part of an identifier.
func identifier(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
}

// parse reads a file.
func parse(path, text string) (s source, err error) {
	s = source{path: path, text: text, fset: token.NewFileSet()}
	s.file, err = parser.ParseFile(s.fset, path, text, parser.SkipObjectResolution)
	return s, err
}

// keyOf tells the functions of a package apart.
func keyOf(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	return receiver(fn) + "." + fn.Name.Name
}

// receiver is the name of the type that a method is of.
func receiver(fn *ast.FuncDecl) string {
	x := fn.Recv.List[0].Type
	for {
		switch t := x.(type) {
		case *ast.StarExpr:
			x = t.X
		case *ast.ParenExpr:
			x = t.X
		case *ast.IndexExpr:
			x = t.X
		case *ast.IndexListExpr:
			x = t.X
		case *ast.Ident:
			return t.Name
		default:
			return ""
		}
	}
}

// signature is a function's text up to its body, however it is spaced.
func (s *source) signature(fn *ast.FuncDecl) string {
	return strings.Join(strings.Fields(s.text[s.at(fn.Pos()):s.at(fn.Body.Lbrace)]), " ")
}

func (s *source) functions() map[string]*ast.FuncDecl {
	m := make(map[string]*ast.FuncDecl)
	for _, d := range s.file.Decls {
		if fn, is := d.(*ast.FuncDecl); is {
			m[keyOf(fn)] = fn
		}
	}
	return m
}

// outside is what a file declares beside functions and imports.
func (s *source) outside() string {
	var b strings.Builder
	for _, d := range s.file.Decls {
		if g, is := d.(*ast.GenDecl); is && g.Tok != token.IMPORT {
			b.WriteString(s.slice(g) + "\n")
		}
	}
	return b.String()
}

// imports lists what a file imports, each as it is written.
func (s *source) imports() (list []string) {
	for _, i := range s.file.Imports {
		name := ""
		if i.Name != nil {
			name = i.Name.Name + " "
		}
		list = append(list, name+cmp.Or(i.Path.Value, ""))
	}
	return list
}
