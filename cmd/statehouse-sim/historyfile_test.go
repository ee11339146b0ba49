package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"statehouse.dev/statehouse/history/zst"
)

// keepFile writes lines to a file, some of them many times, compressed if its name says so.
func keepFile(t *testing.T, name string, header, line string, times int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := zst.NewWriter(name, f)
	if err != nil {
		t.Fatal(err)
	}
	block := strings.Repeat(line+"\n", 1000)
	_, err = fmt.Fprintln(w, header)
	for range times / 1000 {
		if _, werr := w.Write([]byte(block)); werr != nil {
			err = werr
		}
	}
	for _, cerr := range []error{err, w.Close(), f.Close()} {
		if cerr != nil {
			t.Fatal(cerr)
		}
	}
	return path
}

const plainHeader = `{"format":"statehouse-history","version":1,"unit":"ns"}`

// readers are the commands that read a history of a stranger's.
func readers(t *testing.T, file string) map[string][]string {
	return map[string][]string{
		"check": {"check", file}, "check --cut": {"check", "--cut", file}, "convert": {"convert", file, filepath.Join(t.TempDir(), "out.edn")},
		"repro": {"repro", file, "--dir", t.TempDir()},
	}
}

// TestSmallFilesThatUnpackToMuch: they are refused at a bound, by every command that
// reads a history, and what is just large is not.
func TestSmallFilesThatUnpackToMuch(t *testing.T) {
	unraced(t)
	bomb := keepFile(t, "bomb.jsonl.zst", plainHeader, `{"note":{"time":1,"lane":"a","kind":"b"}}`, 8_000_000)
	if info, err := os.Stat(bomb); err != nil || info.Size() > 1<<20 {
		t.Fatalf("the file is not small: %v, %v", info.Size(), err)
	}
	if code, _, errs := tool(t, "check", bomb); code != exitUsage || !strings.Contains(errs, "more than 268435456 bytes unpacked; --max-bytes raises") {
		t.Errorf("exit %d, %s", code, errs)
	}
	for name, args := range readers(t, bomb) { // any order
		if code, _, errs := tool(t, append(args, "--max-bytes", "100000")...); code != exitUsage || !strings.Contains(errs, "more than 100000 bytes unpacked") {
			t.Errorf("%s with its own bound: exit %d, %s", name, code, errs)
		}
	}
}

// TestHistoriesThatTakeMemory: what would take too much is refused while it is read,
// whatever it is that takes it.
func TestHistoriesThatTakeMemory(t *testing.T) {
	unraced(t)
	base := strings.TrimSuffix(plainHeader, "}") + `,"base":{"commit_ts":1}}`
	long := strings.Repeat("x", 500)
	for what, file := range map[string]string{ // any order
		"operations": keepFile(t, "ops.jsonl", plainHeader, `{"note":{"time":1,"lane":"a","kind":"`+long+`"}}`, 20_000),
		"state":      keepFile(t, "state.jsonl", base, `{"record":{"ns":"n","agent":"a","key":"`+long+`"}}`, 20_000),
		"EDN":        keepFile(t, "jepsen.edn", "", `{:type :info :f :note :process :nemesis :time 1 :value {:time 1 :lane "`+long+`"}}`, 10_000),
	} {
		for name, args := range readers(t, file) { // any order
			runtime.GC() // what the last one left,
			runtime.GC() // and what pools kept of that
			args = append(args, "--max-memory", fmt.Sprint(heap()+2<<20))
			if code, _, errs := tool(t, args...); code != exitUsage || !strings.Contains(errs, "bytes of memory; --max-memory raises") {
				t.Errorf("%s, %s: exit %d, %s", what, name, code, errs)
			}
		}
	}
	crowded := keepFile(t, "crowded.jsonl", plainHeader+"\n"+`{"op":{"id":1,"client":"c","kind":"get","call":1,"outcome":"unknown","in":{"names":[{}`+strings.Repeat(`,{}`, 3<<20)+`]}}}`, "", 0)
	if code, _, errs := tool(t, "check", crowded); code != exitUsage || !strings.Contains(errs, "more than 2097152 objects") {
		t.Errorf("a line of many objects: exit %d, %.300s", code, errs)
	}
}

// TestNothingObeysWhatIsPrinted: what a file holds moves no cursor, by whichever command
// and on whichever stream it is printed.
func TestNothingObeysWhatIsPrinted(t *testing.T) {
	const evil = "\u001b[2J\u009b31m\u202e\u2066\u2028\u007f"
	text := plainHeader + "\n" +
		`{"op":{"id":1,"client":"` + evil + `","kind":"get","call":1,"return":2,"in":{"ns":"n","agent":"` + evil + `","key":"k"},"outcome":"ok","out":{"read_ts":7,"records":[{"ns":"n","agent":"` + evil + `","key":"` + evil + `","exists":true,"version":3,"commit_ts":9,"value":"` + evil + `"}]}}}` + "\n" +
		`{"note":{"time":1,"lane":"` + evil + `","kind":"` + evil + `","text":"` + evil + `"}}` + "\n" + `{"end":{"complete":true,"lines":3}}` + "\n"
	dir := t.TempDir()
	files := map[string]string{
		"history.jsonl": text, "field.jsonl": plainHeader + "\n" + `{"op":{"` + evil + `":1}}` + "\n", "format.jsonl": `{"format":"` + evil + `"}`, "kind.jsonl": plainHeader + "\n" + `{"op":{"id":1,"kind":"` + evil + `"}}` + "\n",
		"jepsen.edn": "{:type :x" + strings.ReplaceAll(evil, `\u`, "u") + " }", "scenario.yaml": "scenario: a\ntitle: \"" + evil + "\"\nsteps: [\"" + evil + "\"]\n", "raw\x1b[2J.jsonl": "\x1b[2J\u202e",
	}
	report := filepath.Join(dir, "report.html")
	for name, content := range files { // any order
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{
			{"check", file, "--report", report}, {"check", "--json", file}, {"convert", file, filepath.Join(dir, "out.jsonl")}, {"repro", file, "--dir", dir, "--for", "1ns"},
			{"run", file}, {"run", "-v", file}, {"explain", file}, {file},
		} {
			code, out, errs := tool(t, args...)
			page, _ := os.ReadFile(report) // where there is one
			_ = os.Remove(report)
			for _, shown := range []string{out, errs, string(page)} {
				if at := strings.IndexAny(shown, "\x1b\u009b\u202e\u2066\u2028\x7f"); at >= 0 {
					t.Errorf("%q: exit %d, and prints %q", args, code, shown[max(0, at-60):min(len(shown), at+20)])
				}
			}
		}
	}
}
