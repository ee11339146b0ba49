package mutant

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Overlay is source text that is laid over files of the repository while it is built. The
// files stay as they are.
type Overlay map[string]string // by the file's path from the root of the repository

// Write writes the texts into dir, which must be an absolute path, and the list of them: for
// the -overlay of "go build" and "go test".
func (o Overlay) Write(root, dir string) (list string, err error) {
	overlay := struct{ Replace map[string]string }{make(map[string]string)}
	for file, text := range o { // one file each: order cannot matter
		path := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return "", err
		}
		overlay.Replace[filepath.Join(root, file)] = path
	}
	raw, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	list = filepath.Join(dir, "overlay.json")
	return list, os.WriteFile(list, raw, 0o644)
}

// Build builds the program of a package with the texts laid over. dir is for what it needs
// on the way.
func (o Overlay) Build(ctx context.Context, root, pkg, dir, program string) error {
	// Nobody debugs it: what a debugger needs would be a third of the work.
	return o.Go(ctx, root, dir, "build", "-gcflags=statehouse.dev/statehouse/...=-dwarf=false", "-ldflags=-s -w", "-o", program, pkg)
}

// Go runs a verb of the go command with the texts laid over.
func (o Overlay) Go(ctx context.Context, root, dir, verb string, args ...string) error {
	list, err := o.Write(root, dir)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{verb, "-tags", "grpcnotrace", "-overlay", list}, args...)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("it does not build: %w\n%s", err, out)
	}
	return nil
}
