package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestOperationsFromNothing does what docs/OPERATIONS.md tells a newcomer to do, with the real
// programs, in one shell and an empty directory, and holds that it works and prints what stands
// there. Only the ports are others, and Prometheus is left out (deploy/try-prometheus.sh has it).
func TestOperationsFromNothing(t *testing.T) {
	for _, tool := range []string{"bash", "openssl", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	for _, name := range []string{"statehoused", "statehousectl"} {
		build := exec.CommandContext(t.Context(), "go", "build", "-tags", "grpcnotrace", "-o", filepath.Join(bin, name), "statehouse.dev/statehouse/cmd/"+name)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", name, err, out)
		}
	}
	script, printed := operationsSteps(t)
	daemon, metrics := freePort(t), freePort(t)
	script = strings.ReplaceAll(script, "https://localhost ", "https://localhost:"+daemon+" ")
	script = strings.ReplaceAll(script, "localhost:50052", "localhost:"+metrics)
	// A reader is slower than a daemon starts: this one waits.
	script = regexp.MustCompile(`(?m)& daemon=\$!$`).ReplaceAllString(script, "$0\nuntil (exec 3<>/dev/tcp/127.0.0.1/"+daemon+") 2>/dev/null; do kill -0 $$daemon; done")
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", "set -eo pipefail; trap '[ -z \"$daemon\" ] || kill $daemon 2>/dev/null || :' EXIT\n"+script)
	cmd.Dir = empty
	cmd.Env = []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + dir, "STATEHOUSE_LISTEN_ADDR=localhost:" + daemon,
		"STATEHOUSE_METRICS_LISTEN_ADDR=localhost:" + metrics, "STATEHOUSE_DISK_RESERVE_MB=1",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(empty, "daemon.log")) // as much as there is
		t.Fatalf("%v\n%s\n%s", err, out, log)
	}
	for _, line := range printed {
		if !strings.Contains("\n"+string(out), "\n"+line+"\n") {
			t.Errorf("it does not print %q:\n%s", line, out)
		}
	}
}

// operationsSteps are the commands of the section, and the lines that it says they print.
func operationsSteps(t *testing.T) (script string, printed []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## From nothing\n")
	section, _, _ = strings.Cut(section, "\n## ")
	commands := 0
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(section, -1) {
		for line := range strings.Lines(block[1]) {
			command, is := strings.CutPrefix(line, "$ ")
			switch {
			case !is:
				printed = append(printed, strings.TrimSuffix(line, "\n"))
			case strings.HasPrefix(command, "prometheus "), strings.HasPrefix(command, "promtool "):
			default:
				script += fmt.Sprintf("echo '$' %q\n", strings.Fields(command)[0]) + command
				commands++
			}
		}
	}
	if commands < 25 {
		t.Fatalf("%d commands: where is the section?", commands)
	}
	return script, printed
}

// freePort is a port that nobody listens on, now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
