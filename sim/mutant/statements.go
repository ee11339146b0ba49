package mutant

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// statements makes the mutants that leave statements of a block out, and those that put them
// in another order.
func (v *visitor) statements(list []ast.Stmt) {
	for i, s := range list {
		kind := v.kindOf(s)
		if (kind == plain || kind == publish) && v.droppable(s) {
			_, on := v.mutant("drop", s, "")
			v.around(s, "if !"+on+" { ", " }")
		}
		if i+1 < len(list) {
			v.reorder(s, kind, list[i+1])
		}
		if i > 0 && (kind == publish || kind == unlock) {
			v.before(s, list[i-1])
		}
	}
}

// droppable reports whether a statement can be missing, and somebody could notice.
func (v *visitor) droppable(s ast.Stmt) bool {
	switch s := s.(type) {
	case *ast.ExprStmt:
		return !slices.ContainsFunc([]string{"panic", "assertf", "Log", "log", "Trace"}, func(name string) bool { return calls(s.X, name) })
	case *ast.AssignStmt:
		return s.Tok != token.DEFINE && slices.ContainsFunc(s.Lhs, func(x ast.Expr) bool { return !isBlank(x) })
	case *ast.BranchStmt:
		return s.Tok == token.CONTINUE || s.Tok == token.BREAK
	case *ast.IncDecStmt, *ast.SendStmt, *ast.GoStmt, *ast.DeferStmt:
		return true
	}
	return false
}

func isBlank(x ast.Expr) bool {
	id, is := x.(*ast.Ident)
	return is && id.Name == "_"
}

// kind is what a statement does for other goroutines.
type kind int

const (
	plain       kind = iota
	publish          // it lets others see something, or wakes them
	lock             //
	unlock           //
	unlockLater      // it is deferred
)

func (v *visitor) kindOf(s ast.Stmt) kind {
	var call *ast.CallExpr
	deferred := false
	switch s := s.(type) {
	case *ast.ExprStmt:
		call, _ = s.X.(*ast.CallExpr)
	case *ast.DeferStmt:
		call, deferred = s.Call, true
	}
	if call == nil {
		return plain
	}
	name, pkg := "", ""
	switch fn := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		if _, builtin := v.info.Uses[fn].(*types.Builtin); builtin {
			name = fn.Name
		}
	case *ast.SelectorExpr:
		if m, is := v.info.Uses[fn.Sel].(*types.Func); is && m.Pkg() != nil {
			name, pkg = m.Name(), m.Pkg().Path()
		}
	}
	switch {
	case pkg == "sync" && (name == "Lock" || name == "RLock"):
		return lock
	case pkg == "sync" && (name == "Unlock" || name == "RUnlock") && deferred:
		return unlockLater
	case pkg == "sync" && (name == "Unlock" || name == "RUnlock"):
		return unlock
	case !deferred && (pkg == "sync" && (name == "Broadcast" || name == "Signal") ||
		pkg == "sync/atomic" && (name == "Store" || name == "Add" || name == "Swap" || name == "CompareAndSwap") ||
		pkg == "" && name == "close"):
		return publish
	}
	return plain
}

// reorder does a statement after the next one, and leaves out the two that lock.
func (v *visitor) reorder(s ast.Stmt, kind kind, next ast.Stmt) {
	switch {
	case kind == lock && v.kindOf(next) == unlockLater:
		_, on := v.mutant("unlocked", s, "")
		v.around(s, "if !"+on+" { ", " }")
		v.around(next, "if !"+on+" { ", " }")
	case (kind == publish || kind == lock && v.kindOf(next) == plain) && !leaves(next):
		_, on := v.mutant("after", s, v.slice(next)+"; "+v.slice(s))
		v.around(s, "if !"+on+" { ", " }")
		v.around(next, "", fmt.Sprintf("; if %s { %s }", on, v.slice(s)))
	}
}

// before does a statement before the one that comes before it.
func (v *visitor) before(s, previous ast.Stmt) {
	if a, is := previous.(*ast.AssignStmt); is && a.Tok == token.DEFINE || v.kindOf(previous) != plain {
		return
	}
	switch previous.(type) {
	case *ast.DeclStmt, *ast.DeferStmt, *ast.LabeledStmt:
		return
	}
	_, on := v.mutant("before", s, v.slice(s)+"; "+v.slice(previous))
	v.around(previous, fmt.Sprintf("if %s { %s }; ", on, v.slice(s)), "")
	v.around(s, "if !"+on+" { ", " }")
}
