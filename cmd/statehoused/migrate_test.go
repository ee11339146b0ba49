package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// oldStore is a copy of the kept directory of format 1.
func oldStore(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(dir, os.DirFS("../../engine/testdata/format-1")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A store of format 1 is refused with the sentence that says what to do, and migrated by the
// command or by a daemon that is told to.
func TestMigrateCommand(t *testing.T) {
	dir := oldStore(t)
	says := []string{"of format 1", `run "statehoused migrate ` + dir + `"`, "--migrate"}
	fails(t, exitDataDir, says, nil, "--data-dir", dir)
	if code, _, said := ran(t, nil, "verify", dir); code != exitFailed || !strings.Contains(said, says[1]) {
		t.Errorf("verify: %d %q", code, said)
	}
	code, out, said := ran(t, nil, "migrate", dir)
	if code != exitOK || !strings.HasPrefix(out, dir+" is of format 2, and was of format 1\n") || strings.Contains(said, "statehoused:") {
		t.Fatalf("migrate: %d %q %q", code, out, said)
	}
	_, begins, _ := strings.Cut(out, "begins with ")
	if code, verified, _ := ran(t, nil, "verify", dir); code != exitOK || len(begins) != 65 || !strings.Contains(verified, "begins with "+begins[:64]) {
		t.Errorf("verify after %q: %d %q", out, code, verified)
	}
	var shape map[string]any
	if code, out, _ = ran(t, nil, "migrate", "--json", dir); code != exitOK || json.Unmarshal([]byte(out), &shape) != nil || shape["ok"] != true || shape["from_format"] != 2.0 || shape["store"] != nil {
		t.Errorf("again, as JSON: %d %q", code, out)
	}
	if code, _, said = ran(t, nil, "migrate", "--json", filepath.Join(dir, "nowhere")); code != exitFailed || !strings.Contains(said, `"exit_code":1}`) {
		t.Errorf("where there is nothing: %d %q", code, said)
	}
	fails(t, exitUsage, []string{"an argument is missing"}, nil, "migrate")
}

func TestDaemonMigrates(t *testing.T) {
	dir := oldStore(t)
	d := start(t, dir, "--migrate")
	if st, err := d.GetStatus(call(t), &pb.GetStatusRequest{}); err != nil || st.FormatVersion != 2 || st.PublishedTs != 46 {
		t.Errorf("%v %v", st, err)
	}
	if !strings.Contains(d.log(), "the store was migrated") {
		t.Errorf("it does not say so:\n%s", d.log())
	}
	if code, _, said := ran(t, nil, "migrate", dir); code != exitFailed || !strings.Contains(said, "in use by another process") {
		t.Errorf("while a daemon has it: %d %q", code, said)
	}
	d.terminate()
	d = start(t, dir, "--migrate") // nothing to do
	d.terminate()
	verified(t, dir)
	fresh := filepath.Join(t.TempDir(), "new")
	start(t, fresh, "--migrate").terminate()
	verified(t, fresh)
}
