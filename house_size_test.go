package statehouse

import (
	"go/ast"
	"go/scanner"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// How large things may be before they need inner walls.
const (
	functionLines = 70
	fileLines     = 600
	roomLines     = 2000 // of code: without comments, tests and what is generated
	roomFiles     = 14   // without tests
)

// crowded rooms have more files than one can look over, and each as many as it is given here: the numbers only fall.
var crowded = map[string]int{
	"client":                 23,
	"cluster/node":           16,
	"cmd/statehouse-sim":     40,
	"cmd/statehousectl":      66,
	"cmd/statehoused":        32,
	"engine":                 123,
	"linearizability/oracle": 25,
	"linearizability/serial": 16,
	"server":                 17,
	"server/answer":          15,
	"server/web":             15,
	"sim":                    49,
	"sim/fuzz":               16,
	"sim/planted":            37,
	"sim/simdisk":            20,
}

// large rooms stay one package each, for a reason.
var large = map[string]string{
	"sim":                    "a world is one thing: its parts share its clock, its disk and its lock; what is not of it is in the rooms around",
	"engine":                 "its inner wall is the tested list of pure files",
	"client":                 "an agent's calls share retries, epochs and what the daemon can do; what has a wall of its own is in the rooms around",
	"linearizability/oracle": "its rules share one judge: what it knows of transactions, of real time and of what may be missing; what is evaluated and the model are rooms of their own",
	"sim/planted":            "it is one list",
	"sim/simdisk":            "a disk is one thing, and its faults reach into all of it",
}

// TestSizes: what has outgrown its walls is taken apart before anything is built on it.
func TestSizes(t *testing.T) {
	for _, p := range load(t) {
		if strings.HasPrefix(room(p), "proto/") {
			continue // generated
		}
		documented, lines := false, 0
		for _, f := range p.Syntax {
			file := p.Fset.File(f.Pos())
			lines += codeLines(t, file.Name())
			documented = documented || f.Doc != nil
			if n := file.LineCount(); n > fileLines {
				t.Errorf("%s has %d lines, of at most %d", file.Name(), n, fileLines)
			}
			checkFunctions(t, p, f)
		}
		checkFiles(t, p)
		if !documented && room(p) != "" {
			t.Errorf("%s has no doc comment: a room teaches what it is for", p.PkgPath)
		}
		if large[room(p)] == "" && !strings.HasPrefix(room(p), "cmd/") && lines > roomLines {
			t.Errorf("%s has %d lines of code, of at most %d: it needs inner walls", p.PkgPath, lines, roomLines)
		}
	}
	eachTestFile(t, func(path string, lines int) {
		if lines > fileLines {
			t.Errorf("%s has %d lines, of at most %d", path, lines, fileLines)
		}
	})
}

// checkFiles holds a room to its number of files. Those for one system only count when they are built for this one.
func checkFiles(t *testing.T, p *packages.Package) {
	n, most := len(p.GoFiles), roomFiles
	if bound, is := crowded[room(p)]; is {
		most = bound
		if n <= roomFiles {
			t.Errorf("%s has %d files, and is not crowded any more", p.PkgPath, n)
		}
	}
	if n > most {
		t.Errorf("%s has %d files, of at most %d: what grows gets inner walls, not more files", p.PkgPath, n, most)
	}
}

// codeLines counts the lines of a file that hold more than a comment.
func codeLines(t *testing.T, path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s scanner.Scanner
	file := token.NewFileSet().AddFile(path, -1, len(text))
	s.Init(file, text, nil, 0)
	lines := make(map[int]bool)
	for {
		pos, tok, literal := s.Scan()
		if tok == token.EOF {
			return len(lines)
		}
		if tok == token.SEMICOLON && literal == "\n" {
			continue
		}
		for line := range strings.Count(literal, "\n") + 1 {
			lines[file.Line(pos)+line] = true
		}
	}
}

func checkFunctions(t *testing.T, p *packages.Package, f *ast.File) {
	for _, d := range f.Decls {
		fn, is := d.(*ast.FuncDecl)
		if !is || fn.Body == nil {
			continue
		}
		if n := p.Fset.Position(fn.End()).Line - p.Fset.Position(fn.Pos()).Line + 1; n > functionLines {
			t.Errorf("%s: %s has %d lines, of at most %d", p.Fset.Position(fn.Pos()), fn.Name.Name, n, functionLines)
		}
	}
}

func eachTestFile(t *testing.T, f func(path string, lines int)) {
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != "." {
			if d != nil && d.IsDir() && err == nil {
				return filepath.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		f(path, strings.Count(string(text), "\n"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNothingBuilt: what git keeps is written by people, or small: a program that was built in the root and added with
// the rest stays in everybody's clone.
func TestNothingBuilt(t *testing.T) {
	const most = 1 << 20
	list, err := exec.CommandContext(t.Context(), "git", "ls-files", "-z").Output()
	if err != nil {
		t.Skip("no git here: ", err)
	}
	for path := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		if info, err := os.Stat(path); err == nil && info.Size() > most {
			t.Errorf("%s has %d bytes, of at most %d", path, info.Size(), most)
		}
	}
}
