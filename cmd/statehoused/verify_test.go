package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// ran runs the binary to its end.
func ran(t *testing.T, env []string, args ...string) (code int, out, err string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := command(env, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.TempDir(), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if _, exited := err.(*exec.ExitError); !exited {
			t.Fatal(err)
		}
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// verify examines a store that no daemon has open: by its exit code, in words, and as JSON,
// whatever the environment says to daemons.
func TestVerifyCommand(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "data")
	d := start(t, dir)
	if _, err := d.Transact(call(t), &pb.TransactRequest{TxnId: "x", Operations: []*pb.TransactOperation{put("a", "k", `{}`)}}); err != nil {
		t.Fatal(err)
	}
	if code, out, said := ran(t, nil, "verify", dir); code != exitFailed || out != "" || !strings.Contains(said, "in use by another process") {
		t.Errorf("of a daemon that runs: %d %q %q", code, out, said)
	}
	d.terminate()

	daemons := []string{"STATEHOUSE_DATA_DIR=/nowhere", "STATEHOUSE_CONFIG=/nowhere.yaml", "STATEHOUSE_LISTEN_ADDR=nonsense", "STATEHOUSE_TOKEN="}
	code, out, said := ran(t, daemons, "verify", dir)
	if code != exitOK || !strings.HasPrefix(out, dir+" is right\n") || !strings.Contains(out, "commits     1, the last witnessed is 1\n") || strings.Contains(said, "statehoused:") {
		t.Errorf("a sound store: %d %q %q", code, out, said)
	}
	var shape map[string]any
	if code, out, _ = ran(t, nil, "verify", "--json", dir); code != exitOK || json.Unmarshal([]byte(out), &shape) != nil || shape["ok"] != true || shape["commits"] != 1.0 {
		t.Errorf("a sound store, as JSON: %d %q", code, out)
	}
	if err := os.Remove(filepath.Join(dir, "witness")); err != nil {
		t.Fatal(err)
	}
	if code, out, said = ran(t, nil, "verify", dir); code != exitWrong || out != "" || !strings.Contains(said, "witness is missing or spoilt") {
		t.Errorf("without its witness: %d %q %q", code, out, said)
	}
	code, out, said = ran(t, nil, "verify", dir, "--json")
	if code != exitWrong || json.Unmarshal([]byte(out), &shape) != nil || shape["ok"] != false || !strings.Contains(said, `{"error":"DATA_LOSS",`) || !strings.HasSuffix(said, `"applied":"no","exit_code":6}`+"\n") {
		t.Errorf("without its witness, as JSON: %d %q %q", code, out, said)
	}
	if code, _, said = ran(t, nil, "verify", base+"/\x1b[2J"); code != exitFailed || strings.Contains(said, "\x1b") {
		t.Errorf("a name that is not printable: %d %q", code, said)
	}
}

// A word that is no command is a mistake, as it was when there was none; the flags of the
// daemon are not those of verify.
func TestNoDaemonByMistake(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"serve", `unknown command "serve" for "statehoused"`}, {"--use-memory serve", `unknown command "serve" for "statehoused"`},
		{"completion", `unknown command "completion" for "statehoused"`}, {"--use-memory -- verify", `unknown command "verify" for "statehoused"`},
		{"verify", "an argument is missing"}, {"verify a b", `"b" is one argument too many`}, {"verify --data-dir x y", "unknown flag: --data-dir"},
		{"--use-memory verify x", "unknown flag: --use-memory"}, {"--json", "unknown flag: --json"},
	} {
		fails(t, exitUsage, []string{c.says}, nil, strings.Fields(c.args)...)
	}
}
