package statehouse

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocsNameFiles holds the documents to the tree: every relative link leads to a file,
// and every file that CONTRIBUTING.md and the engine's package doc name is there.
func TestDocsNameFiles(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	links := 0
	for _, page := range append(pages, "README.md", "scenarios/README.md", "python/README.md", "typescript/README.md") {
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`).FindAllStringSubmatch(read(t, page), -1) {
			links++
			if path := filepath.Join(filepath.Dir(page), m[1]); !exists(path) {
				t.Errorf("%s links to %s, which there is not", page, path)
			}
		}
	}
	if links < 30 {
		t.Errorf("only %d links were found", links)
	}
	for page, dir := range map[string]string{ // independent: any order
		"docs/CONTRIBUTING.md": "docs", "docs/ARCHITECTURE.md": "docs", "engine/doc.go": "engine", "server/doc.go": "server", "sim/doc.go": "sim",
		"linearizability/oracle/doc.go": "linearizability/oracle", "linearizability/serial/doc.go": "linearizability/serial",
	} {
		for _, name := range regexp.MustCompile(`[\w./-]*[\w-]\.(go|proto|json|md|py|sh)\b`).FindAllString(read(t, page), -1) {
			written := strings.HasPrefix(name, "buggy/") // by a command that the page shows
			if bare := !strings.Contains(name, "/"); bare && dir == "docs" || written {
				continue // of the folder before it in the sentence
			}
			if !exists(filepath.Join(dir, name)) && !exists(name) {
				t.Errorf("%s names %s, which there is not", page, name)
			}
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
