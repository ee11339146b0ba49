package rewrite

import (
	"strings"
	"testing"
)

// TestFile: what is rewritten, and to what. The lines stay.
func TestFile(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{"var m sync.Mutex", "var m sync.Mutex"}, // its import leads elsewhere
		{"func f() { go func() { g(<-c) }() }", "func f() { turns.Go(func() { g(turns.Recv(c)) }) }"},
		{"func f() { v, ok := <-c; c <- v; close(c); c.close() }", "func f() { v, ok := turns.Recv2(c); turns.Send(c , v); turns.Close(c); c.close() }"},
		{
			"func f() {\n\tselect {\n\tcase v := <-c:\n\tcase d() <- 1:\n\tdefault:\n\t}\n}",
			"func f() {\n\t{ turns1_0, turns1_1 := c, d(); turns1 := turns.Select(true, turns.R(turns1_0), turns.S(turns1_1)); select {\n\tcase v := <-turns.Only(turns1, 0, turns1_0):\n\tcase turns.Only(turns1, 1, turns1_1) <- 1:\n\tdefault:\n\t}}\n}",
		},
		{"func f() { select {} }", "func f() { turns.Forever() }"},
		{"func f() { defer context.AfterFunc(c, g)() }", "func f() { defer turns.AfterFunc(c, g)() }"},
		{"func f() { t := time.NewTicker(d) }", "func f() { t := turns.NewTicker(d) }"},
	} {
		text := "package p\n\nimport (\n\t\"context\"\n\t\"sync\"\n\t\"time\"\n)\n\n" + c.in + "\n"
		out, _, err := File("p.go", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		got := string(out)
		if !strings.Contains(got, c.out) || !strings.Contains(got, `sync "`+Turns+`"`) {
			t.Errorf("%s becomes\n%s", c.in, got)
		}
		if strings.Contains(c.out, "turns.") != strings.Contains(got, `package p; import turns "`+Turns+`"`) {
			t.Errorf("%s: package turns is imported, or not:\n%s", c.in, got)
		}
		before, _, _ := strings.Cut(text, c.in[len(c.in)-1:]+"\n")
		if strings.Count(got, "\n") < strings.Count(before, "\n") {
			t.Errorf("%s: lines are lost:\n%s", c.in, got)
		}
	}
}

// TestRefused: what is not modelled cannot slip in.
func TestRefused(t *testing.T) {
	for in, what := range map[string]string{ // each by itself: order cannot matter
		"func f() { go g() }":                           "go statement",
		"func f() { go func(int) {}(1) }":               "go statement",
		"func f() { L: select { case <-c: break L } }":  "a select with a label",
		"func f() { select { case <-time.After(1): } }": "a case",
		"func f() { time.Sleep(1) }":                    "time.Sleep",
		"func f() { time.AfterFunc(1, f) }":             "time.AfterFunc",
	} {
		if _, _, err := File("p.go", []byte("package p\n\n"+in)); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", in, err)
		}
	}
	if _, _, err := File("p.go", []byte("package p\n\nimport s \"sync\"\n")); err == nil {
		t.Error("an import under another name is let through")
	}
}
