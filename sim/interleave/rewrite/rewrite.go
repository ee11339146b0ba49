// Package rewrite makes of a Go file one whose goroutines take turns: imports of sync and
// sync/atomic lead to package turns, which has the same names, and go statements, channel
// operations, select, tickers and context.AfterFunc become calls of it.
//
// It edits the text and keeps the lines, so that positions stay true. What it does not know
// does not compile, because package turns lacks the name, or is an error here: a construct
// that is not modelled cannot slip in.
package rewrite

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// Turns is the path of the package that is called instead.
const Turns = "statehouse.dev/statehouse/sim/interleave/turns"

// File returns the text of a file rewritten, and whether anything had to be.
func File(name string, text []byte) (out []byte, changed bool, err error) {
	w := &writer{fset: token.NewFileSet(), text: text}
	w.file, err = parser.ParseFile(w.fset, name, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, false, err
	}
	w.imports()
	ast.Inspect(w.file, w.node)
	if w.err != nil {
		return nil, false, w.err
	}
	if len(w.edits) == 0 {
		return text, false, nil
	}
	if w.calls {
		w.insert(w.file.Name.End(), `; import turns "`+Turns+`"`)
	}
	return w.apply(), true, nil
}

// edit replaces text from an offset to another.
type edit struct {
	from, to int
	text     string
}

type writer struct {
	fset    *token.FileSet
	file    *ast.File
	text    []byte
	edits   []edit
	calls   bool              // package turns is called by its name
	done    map[ast.Node]bool // receives that a select or an assignment has dealt with
	selects int
	err     error
}

func (w *writer) offset(p token.Pos) int { return w.fset.Position(p).Offset }

func (w *writer) replace(from, to token.Pos, text string) {
	w.edits = append(w.edits, edit{w.offset(from), w.offset(to), text})
}

func (w *writer) insert(at token.Pos, text string) { w.replace(at, at, text) }

func (w *writer) source(n ast.Node) string {
	return string(w.text[w.offset(n.Pos()):w.offset(n.End())])
}

func (w *writer) refuse(n ast.Node, what string) {
	if w.err == nil {
		w.err = fmt.Errorf("%s: %s is not modelled: teach sim/interleave of it", w.fset.Position(n.Pos()), what)
	}
}

// apply makes the edits. Of two insertions at one place the one that was made first stands
// first.
func (w *writer) apply() []byte {
	slices.SortStableFunc(w.edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	var out []byte
	at := 0
	for _, e := range w.edits {
		out = append(out, w.text[at:e.from]...)
		out = append(out, e.text...)
		at = e.to
	}
	return append(out, w.text[at:]...)
}

// imports turns the imports of sync and sync/atomic to package turns, and keeps those of
// time and context used.
func (w *writer) imports() {
	w.done = make(map[ast.Node]bool)
	for _, imp := range w.file.Imports {
		switch path := strings.Trim(imp.Path.Value, `"`); path {
		case "sync", "sync/atomic":
			if imp.Name != nil {
				w.refuse(imp, "an import of "+path+" under another name")
			}
			w.replace(imp.Pos(), imp.End(), path[strings.LastIndex(path, "/")+1:]+` "`+Turns+`"`)
		case "time", "context":
			if imp.Name != nil {
				w.refuse(imp, "an import of "+path+" under another name")
			}
		}
	}
}

// instead are functions that package turns has under the same name; "": that are not
// modelled.
var instead = map[string]string{
	"time.NewTicker": "NewTicker", "time.NewTimer": "", "time.AfterFunc": "", "time.After": "", "time.Sleep": "", "time.Tick": "",
	"context.AfterFunc": "AfterFunc", "context.WithTimeout": "WithTimeout", "context.WithDeadline": "",
}

// used keeps an import used.
var used = map[string]string{"time": "\nvar _ time.Duration\n", "context": "\nvar _ context.Context\n"}

func (w *writer) node(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		w.goStmt(n)
	case *ast.SendStmt:
		if !w.done[n] {
			w.call(n.Pos(), "Send(")
			w.replace(n.Arrow, n.Arrow+2, ",")
			w.insert(n.End(), ")")
		}
	case *ast.AssignStmt:
		if len(n.Lhs) == 2 && len(n.Rhs) == 1 {
			w.receive(n.Rhs[0], "Recv2(")
		}
	case *ast.UnaryExpr:
		w.receive(n, "Recv(")
	case *ast.SelectStmt:
		w.selectStmt(n)
	case *ast.LabeledStmt:
		if _, is := n.Stmt.(*ast.SelectStmt); is {
			w.refuse(n, "a select with a label")
		}
	case *ast.CallExpr:
		if f, is := n.Fun.(*ast.Ident); is && f.Name == "close" {
			w.callInstead(f, "Close")
		}
	case *ast.SelectorExpr:
		x, is := n.X.(*ast.Ident)
		if !is {
			break
		}
		if name, known := instead[x.Name+"."+n.Sel.Name]; known {
			if name == "" {
				w.refuse(n, w.source(n))
			}
			w.callInstead(n, name)
			w.edits = append(w.edits, edit{len(w.text), len(w.text), used[x.Name]})
			return false
		}
	}
	return w.err == nil
}

func (w *writer) call(at token.Pos, name string) {
	w.calls = true
	w.insert(at, "turns."+name)
}

func (w *writer) callInstead(n ast.Node, name string) {
	w.calls = true
	w.replace(n.Pos(), n.End(), "turns."+name)
}

// receive rewrites <-c.
func (w *writer) receive(e ast.Expr, name string) {
	if u, is := e.(*ast.UnaryExpr); is && u.Op == token.ARROW && !w.done[u] {
		w.done[u] = true
		w.calls = true
		w.replace(u.OpPos, u.OpPos+2, "turns."+name)
		w.insert(u.End(), ")")
	}
}

// goStmt rewrites go func() {...}(). Arguments would have to be evaluated before.
func (w *writer) goStmt(n *ast.GoStmt) {
	if _, is := n.Call.Fun.(*ast.FuncLit); !is || len(n.Call.Args) > 0 {
		w.refuse(n, "a go statement of anything but a function without arguments")
		return
	}
	w.calls = true
	w.replace(n.Pos(), n.Call.Fun.Pos(), "turns.Go(")
	w.replace(n.Call.Lparen, n.Call.Rparen, "")
}

// selectStmt has package turns choose a case, and leaves the statement that one.
func (w *writer) selectStmt(n *ast.SelectStmt) {
	if len(n.Body.List) == 0 {
		w.callInstead(n, "Forever()")
		return
	}
	w.selects++
	var names, channels, cases []string
	hasDefault := false
	for _, s := range n.Body.List {
		clause := s.(*ast.CommClause)
		if clause.Comm == nil {
			hasDefault = true
			continue
		}
		channel, kind := w.channelOf(clause.Comm)
		if channel == nil {
			return
		}
		i := len(names)
		name := fmt.Sprintf("turns%d_%d", w.selects, i)
		names, channels = append(names, name), append(channels, w.source(channel))
		cases = append(cases, fmt.Sprintf("turns.%s(%s)", kind, name))
		w.replace(channel.Pos(), channel.End(), fmt.Sprintf("turns.Only(turns%d, %d, %s)", w.selects, i, name))
	}
	w.calls = true
	prelude := ""
	if len(names) > 0 {
		prelude = strings.Join(names, ", ") + " := " + strings.Join(channels, ", ") + "; "
	}
	if hasDefault {
		// Only a goroutine beside the run comes here with nothing chosen and something ready.
		cases = append([]string{"true"}, cases...)
	} else {
		cases = append([]string{"false"}, cases...)
	}
	w.insert(n.Pos(), fmt.Sprintf("{ %sturns%d := turns.Select(%s); ", prelude, w.selects, strings.Join(cases, ", ")))
	w.insert(n.End(), "}")
}

// channelOf is the channel of a case, and what the case does with it.
func (w *writer) channelOf(s ast.Stmt) (channel ast.Expr, kind string) {
	var e ast.Expr
	switch s := s.(type) {
	case *ast.SendStmt:
		w.done[s] = true
		channel, kind = s.Chan, "S"
	case *ast.ExprStmt:
		e = s.X
	case *ast.AssignStmt:
		e = s.Rhs[0]
	}
	if e != nil {
		u := e.(*ast.UnaryExpr)
		w.done[u] = true
		channel, kind = u.X, "R"
	}
	plain := true
	ast.Inspect(channel, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			plain = false
		case *ast.UnaryExpr:
			plain = plain && n.Op != token.ARROW
		case *ast.SelectorExpr:
			if x, is := n.X.(*ast.Ident); is {
				_, known := instead[x.Name+"."+n.Sel.Name]
				plain = plain && !known
			}
		}
		return plain
	})
	if !plain {
		w.refuse(s, "a case with a channel that is computed in it")
		return nil, ""
	}
	return channel, kind
}
