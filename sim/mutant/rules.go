package mutant

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// The rules. Each stands for a mistake that people make: a condition the wrong way round
// (negate), one more or less (bound, more, less), "and" for "or" (swap), something forgotten
// (drop), an error that is passed over (swallow), a function that does nothing (empty), a
// loop that ends too early (once), and an order that only another goroutine can see (before,
// after, unlocked).
//
// Every mutant compiles: what would not is not made, and all of them are in one program.
// None is made of what no judge could be asked about: words for people, what is logged,
// assertions that hold, capacities of slices, and nanoseconds of a duration. Nor of a lock
// that is taken and not given back, or the other way: any run would show that.

// function makes the mutants of a function.
func (v *visitor) function(fn *ast.FuncDecl) {
	v.fn = keyOf(fn)
	v.empty(fn)
	ast.PreorderStack(fn.Body, nil, func(n ast.Node, stack []ast.Node) bool {
		switch n := n.(type) {
		case *ast.GenDecl:
			return n.Tok == token.VAR
		case *ast.ArrayType:
			return false // its length is a constant
		case *ast.IfStmt:
			v.in = v.head(n)
			v.swallow(n)
			v.in = ""
		case *ast.ForStmt:
			if n.Cond != nil {
				v.once(n.Body)
			}
		case *ast.RangeStmt:
			v.once(n.Body)
		case *ast.BlockStmt:
			v.statements(n.List)
		case *ast.CaseClause:
			v.statements(n.Body)
		case *ast.CommClause:
			v.statements(n.Body)
		case ast.Expr:
			v.in = v.whole(n, stack)
			inside := v.expression(n, stack)
			v.in = ""
			return inside
		}
		return true
	})
}

// empty makes a function that returns at once, with nothing.
func (v *visitor) empty(fn *ast.FuncDecl) {
	if len(fn.Body.List) == 0 || returnsNothing(fn.Body) {
		return
	}
	result := "return"
	if r := fn.Type.Results; r != nil && len(r.List[0].Names) == 0 {
		var zeros []string
		for _, field := range r.List {
			zeros = append(zeros, "*new("+v.slice(field.Type)+")")
		}
		result += " " + strings.Join(zeros, ", ")
	}
	_, on := v.mutant("empty", &ast.FuncType{Func: fn.Pos(), Params: fn.Type.Params, Results: fn.Type.Results}, result)
	v.insert(fn.Body.Lbrace+1, fmt.Sprintf(" if %s { %s };", on, result))
}

// returnsNothing reports whether a function is only a return of what empty would return.
func returnsNothing(body *ast.BlockStmt) bool {
	r, is := body.List[0].(*ast.ReturnStmt)
	return is && !slices.ContainsFunc(r.Results, func(x ast.Expr) bool {
		switch x := x.(type) {
		case *ast.Ident:
			return x.Name != "false" && x.Name != "nil"
		case *ast.BasicLit:
			return x.Value != "0" && x.Value != `""`
		}
		return true
	})
}

// once makes a loop that ends after its first round.
func (v *visitor) once(body *ast.BlockStmt) {
	if n := len(body.List); n == 0 || leaves(body.List[n-1]) {
		return
	}
	last := body.List[len(body.List)-1]
	_, on := v.mutant("once", last, "…; break")
	v.insert(body.Rbrace, fmt.Sprintf("; if %s { break };", on))
}

// leaves reports whether what follows a statement is not reached from it.
func leaves(s ast.Stmt) bool {
	switch s := s.(type) {
	case *ast.ReturnStmt, *ast.BranchStmt:
		return true
	case *ast.ExprStmt:
		return calls(s.X, "panic")
	}
	return false
}

// swallow passes over an error.
func (v *visitor) swallow(n *ast.IfStmt) {
	if len(n.Body.List) == 0 || !leaves(n.Body.List[len(n.Body.List)-1]) || !v.asksForError(n.Cond) {
		return
	}
	_, on := v.mutant("swallow", n.Cond, "false")
	v.around(n.Cond, "(", ") && !"+on)
}

// asksForError reports whether a condition holds only if there is an error.
func (v *visitor) asksForError(cond ast.Expr) bool {
	b, is := ast.Unparen(cond).(*ast.BinaryExpr)
	if !is {
		return false
	}
	if b.Op == token.LAND {
		return v.asksForError(b.X) || v.asksForError(b.Y)
	}
	t := v.info.TypeOf(b.X)
	return b.Op == token.NEQ && v.info.Types[b.Y].IsNil() && types.Identical(t, types.Universe.Lookup("error").Type())
}

// whole is the text of the statement that an expression is in, of a larger one only the head.
func (v *visitor) whole(x ast.Expr, stack []ast.Node) string {
	var n ast.Node = x
	for i := len(stack) - 1; i >= 0; i-- {
		switch stack[i].(type) {
		case *ast.AssignStmt, *ast.ExprStmt, *ast.ReturnStmt, *ast.IncDecStmt, *ast.SendStmt:
			return oneLine(v.slice(stack[i]))
		case ast.Expr:
			n = stack[i]
		default:
			return cmp.Or(v.head(stack[i]), oneLine(v.slice(n)))
		}
	}
	return ""
}

// head is the text of a statement up to its block.
func (v *visitor) head(n ast.Node) string {
	switch n := n.(type) {
	case *ast.IfStmt:
		return oneLine(v.text[v.at(n.Pos()):v.at(n.Body.Lbrace)])
	case *ast.ForStmt:
		return oneLine(v.text[v.at(n.Pos()):v.at(n.Body.Lbrace)])
	}
	return ""
}

// expression makes the mutants of an expression, and reports whether to look into it.
func (v *visitor) expression(x ast.Expr, stack []ast.Node) bool {
	tv := v.info.Types[x]
	parent := stack[len(stack)-1]
	if tv.Value != nil && tv.Value.Kind() == constant.Int {
		v.number(x, tv, parent)
		return false
	}
	if isBool(tv.Type) && !tv.IsType() {
		v.boolean(x, tv.Value != nil, parent, stack)
	}
	return tv.Value == nil
}

func isBool(t types.Type) bool {
	b, is := t.(*types.Basic)
	return is && b.Info()&types.IsBoolean != 0
}

// boolean negates conditions, moves bounds and takes one connective for the other.
func (v *visitor) boolean(x ast.Expr, isConstant bool, parent ast.Node, stack []ast.Node) {
	b, _ := x.(*ast.BinaryExpr)
	connective := b != nil && (b.Op == token.LAND || b.Op == token.LOR)
	equality := b != nil && (b.Op == token.EQL || b.Op == token.NEQ)
	if _, negated := parent.(*ast.UnaryExpr); !connective && !negated && (equality && !isConstant || condition(x, isConstant, parent, stack)) {
		becomes := "!(" + v.slice(x) + ")"
		_, on := v.mutant("negate", x, becomes)
		v.around(x, "((", ") != "+on+")")
	}
	if b == nil || isConstant {
		return
	}
	other := map[token.Token]token.Token{
		token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR, token.LAND: token.LOR, token.LOR: token.LAND,
	}[b.Op]
	if other == token.ILLEGAL {
		return
	}
	rule := "bound"
	if connective {
		rule = "swap"
	}
	becomes := fmt.Sprintf("(%s) %s (%s)", v.slice(b.X), other, v.slice(b.Y))
	_, on := v.mutant(rule, x, v.slice(b.X)+" "+other.String()+" "+v.slice(b.Y))
	// Either the one or the other is evaluated, and once.
	v.around(x, fmt.Sprintf("(%s && (%s) || !%s && (", on, becomes, on), "))")
}

// condition reports whether a boolean decides something by itself.
func condition(x ast.Expr, isConstant bool, parent ast.Node, stack []ast.Node) bool {
	switch p := parent.(type) {
	case *ast.ReturnStmt:
		return true
	case *ast.IfStmt:
		return !isConstant
	case *ast.ForStmt:
		return !isConstant
	case *ast.BinaryExpr:
		return !isConstant && (p.Op == token.LAND || p.Op == token.LOR)
	case *ast.CaseClause:
		s, is := stack[len(stack)-3].(*ast.SwitchStmt)
		return is && s.Tag == nil && !isConstant
	}
	return false
}

// number takes one more and one less.
func (v *visitor) number(x ast.Expr, tv types.TypeAndValue, parent ast.Node) {
	value, exact := constant.Int64Val(tv.Value)
	t, ok := v.spelled(tv.Type)
	if !exact || !ok || value < -256 || value > 256 || !written(x) {
		return
	}
	switch p := parent.(type) {
	case *ast.KeyValueExpr:
		if p.Key == x {
			return
		}
	case *ast.BinaryExpr:
		if (p.Op == token.SHL || p.Op == token.SHR) && p.X == x {
			return
		}
	case *ast.CallExpr:
		if calls(p, "make") {
			return
		}
	}
	basic := tv.Type.Underlying().(*types.Basic)
	n, _ := v.mutant("more", x, fmt.Sprint(value+1))
	v.around(x, "(", fmt.Sprintf(" + %s.One[%s](%d))", toggleName, t, n))
	if value > 0 || basic.Info()&types.IsUnsigned == 0 {
		n, _ := v.mutant("less", x, fmt.Sprint(value-1))
		v.around(x, "(", fmt.Sprintf(" - %s.One[%s](%d))", toggleName, t, n))
	}
}

// spelled is the name of an integer type in this file.
func (v *visitor) spelled(t types.Type) (string, bool) {
	b, is := t.Underlying().(*types.Basic)
	if !is || b.Info()&types.IsInteger == 0 || b.Info()&types.IsUntyped != 0 {
		return "", false
	}
	known := true
	text := types.TypeString(t, func(p *types.Package) string {
		if p == v.pkg {
			return ""
		}
		for _, i := range v.file.Imports {
			if imported := v.info.PkgNameOf(i); imported != nil && imported.Imported() == p {
				return imported.Name()
			}
		}
		known = false
		return ""
	})
	return text, known && text != "time.Duration"
}

// written reports whether a number is in the text itself, rather than a constant's name.
func written(x ast.Expr) (found bool) {
	ast.Inspect(x, func(n ast.Node) bool {
		if lit, is := n.(*ast.BasicLit); is && lit.Kind == token.INT {
			found = true
		}
		return true
	})
	return found
}

// calls reports whether an expression calls a function of that name.
func calls(x ast.Expr, name string) bool {
	call, is := x.(*ast.CallExpr)
	if !is {
		return false
	}
	switch fn := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		return fn.Name == name
	case *ast.SelectorExpr:
		return fn.Sel.Name == name
	}
	return false
}
