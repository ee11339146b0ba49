package main

import (
	"fmt"
	"hash/crc32"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

func TestVersionAndHelp(t *testing.T) {
	d := launch(t, nil, "--version")
	if code := d.exit(); code != exitOK || strings.TrimSpace(d.log()) != "statehoused version 1.2.3 (abcdef)" {
		t.Errorf("--version: %d %q", code, d.log())
	}
	d = launch(t, nil, "--help")
	if code := d.exit(); code != exitOK {
		t.Errorf("--help: %d", code)
	}
	for _, word := range []string{"--data-dir", "STATEHOUSE_DATA_DIR", "Exit codes", "65", "74", "--must-exist"} {
		if !strings.Contains(d.log(), word) {
			t.Errorf("--help does not say %q", word)
		}
	}
}

// Wrong usage is exit code 2 and a sentence, and nothing is made on disk.
func TestWrongUsage(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("data-dirr: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	for _, c := range []struct {
		says []string
		env  []string
		args []string
	}{
		{[]string{"data-dirr", "bad.yaml", "--help"}, nil, []string{"--config", bad}},
		{[]string{"data-dirr"}, []string{"STATEHOUSE_CONFIG=" + bad}, nil},
		{[]string{"/nowhere.yaml"}, nil, []string{"--config", "/nowhere.yaml"}},
		{[]string{"--no-such-flag"}, nil, []string{"--no-such-flag"}},
		{[]string{"--max-streams", "many"}, nil, []string{"--max-streams", "many"}},
		{[]string{"STATEHOUSE_USE_MEMORY", "perhaps"}, []string{"STATEHOUSE_USE_MEMORY=perhaps"}, nil},
		{[]string{"serve"}, nil, []string{"serve"}},
		{[]string{"--tls-cert", "--tls-key"}, nil, []string{"--tls-cert", "x"}},
		{[]string{"certificate", "x"}, nil, []string{"--tls-cert", "x", "--tls-key", "y"}},
		{[]string{"--log-level", "loud"}, nil, []string{"--log-level", "loud"}},
		{[]string{"--log-format", "xml"}, nil, []string{"--log-format", "xml"}},
		{[]string{"host:port", "nonsense"}, nil, []string{"--listen-addr", "nonsense"}},
		{[]string{"host:port"}, nil, []string{"--listen-addr", ""}},
		{[]string{"port", "119536"}, nil, []string{"--listen-addr", "localhost:119536"}},
		{[]string{"port", "65536"}, nil, []string{"--listen-addr", "[::1]:65536"}},
		{[]string{"port", "http"}, nil, []string{"--listen-addr", "localhost:http"}},
		{[]string{"port", "-1"}, nil, []string{"--listen-addr", "localhost:-1"}},
		{[]string{"port"}, nil, []string{"--listen-addr", "localhost:"}},
		{[]string{"brackets"}, nil, []string{"--listen-addr", "::1:54000"}},
		{[]string{"scheme"}, nil, []string{"--listen-addr", "http://localhost:1"}},
		{[]string{"host:port", "/p"}, nil, []string{"--listen-addr", "localhost:1/p"}},
		{[]string{"space"}, nil, []string{"--listen-addr", " localhost:1"}},
		// A shell's variable that is unset must not mean: no protection.
		{[]string{"--token is empty"}, nil, []string{"--token", ""}},
		{[]string{"--token-file is empty"}, nil, []string{"--token-file="}},
		{[]string{"--tls-", "is empty"}, nil, []string{"--tls-cert", "", "--tls-key", ""}},
		{[]string{"--config is empty"}, nil, []string{"--config", ""}},
		{[]string{"STATEHOUSE_TOKEN", "a space", "no client can send"}, []string{"STATEHOUSE_TOKEN=two words"}, nil},
		{[]string{"'ü'", "no client can send"}, nil, []string{"--token", "schlüssel"}},
		{[]string{"0.0.0.0:0", "--tls-cert", "--token-file", "--allow-insecure"}, nil, []string{"--listen-addr", "0.0.0.0:0"}},
		{[]string{"--allow-insecure"}, []string{"STATEHOUSE_LISTEN_ADDR=:0"}, nil},
		{[]string{"--allow-insecure"}, nil, []string{"--listen-addr", "[::]:0"}},
		{[]string{"--allow-insecure"}, nil, []string{"--listen-addr", "192.0.2.1:0", "--token", "x"}},
		{[]string{"--allow-insecure"}, nil, []string{"--listen-addr", "example.com:0"}},
		{[]string{"--tx-timeout-ms"}, nil, []string{"--tx-timeout-ms", "0"}},
		{[]string{"token file", "cannot be read"}, nil, []string{"--token-file", "/nowhere"}},
	} {
		fails(t, exitUsage, c.says, append(c.env, "STATEHOUSE_DATA_DIR="+dir), c.args...)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("a refused start made %s: %v", dir, err)
	}
}

// A directory that cannot be used is exit code 3, each obstacle with its own words.
func TestDataDirs(t *testing.T) {
	base := t.TempDir()
	file := filepath.Join(base, "file")
	foreign := filepath.Join(base, "foreign")
	empty := filepath.Join(base, "empty")
	newer := filepath.Join(base, "newer")
	for _, dir := range []string{foreign, empty, newer} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{ // any order
		file: "", filepath.Join(foreign, "thesis.doc"): "x",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fails(t, exitDataDir, []string{file, "is a file"}, nil, "--data-dir", file)
	fails(t, exitDataDir, []string{"not a directory"}, nil, "--data-dir", filepath.Join(file, "below"))
	fails(t, exitDataDir, []string{"thesis.doc", "empty directory"}, nil, "--data-dir", foreign)
	fails(t, exitDataDir, []string{"does not exist", "mount"}, nil, "--must-exist", "--data-dir", filepath.Join(base, "missing"))
	fails(t, exitDataDir, []string{"holds no store"}, nil, "--must-exist", "--data-dir", empty)
	if _, err := os.Stat(filepath.Join(base, "missing")); !os.IsNotExist(err) {
		t.Error("--must-exist made a directory")
	}

	// Missing ones are made, all the way; a second daemon is kept out.
	dir := filepath.Join(base, "new", "and", "deep")
	d := start(t, dir)
	fails(t, exitDataDir, []string{dir, "in use by another process"}, nil, "--data-dir", dir, "--listen-addr", "127.0.0.1:0")
	if _, err := d.Transact(call(t), &pb.TransactRequest{TxnId: "x", Operations: []*pb.TransactOperation{put("a", "k", `{}`)}}); err != nil {
		t.Errorf("the first is hurt by the second: %v", err)
	}
	d.terminate()
	again := start(t, dir, "--must-exist")
	again.terminate()
	verified(t, dir)

	// An identity file of a newer format is refused, one with a flipped bit is damage.
	identity := func(dir, text string) {
		t.Helper()
		sum := crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli))
		if err := os.WriteFile(filepath.Join(dir, "STATEHOUSE"), fmt.Appendf(nil, "%schecksum %08x\n", text, sum), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	identity(newer, "Statehouse data directory\nformat 99\nstore x\n")
	fails(t, exitDataDir, []string{"format 99", "newer statehoused"}, nil, "--data-dir", newer, "--listen-addr", "127.0.0.1:0")
	text, err := os.ReadFile(filepath.Join(dir, "STATEHOUSE"))
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.WriteFile(filepath.Join(dir, "STATEHOUSE"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, exitDamaged, []string{"STATEHOUSE", "damaged"}, nil, "--data-dir", dir, "--listen-addr", "127.0.0.1:0")
	if err := os.Remove(filepath.Join(dir, "STATEHOUSE")); err != nil {
		t.Fatal(err)
	}
	fails(t, exitDamaged, []string{"STATEHOUSE", "missing"}, nil, "--data-dir", dir, "--listen-addr", "127.0.0.1:0")
}

// A directory on a file system that is mounted read-only, which root cannot write
// to either.
func TestReadOnlyDataDir(t *testing.T) {
	dir := mount(t, "size=16m")
	d := start(t, filepath.Join(dir, "data"))
	d.terminate()
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("remounting: %v", err)
	}
	fails(t, exitDataDir, []string{"not writable"}, nil, "--data-dir", filepath.Join(dir, "data"), "--listen-addr", "127.0.0.1:0")
	fails(t, exitDataDir, []string{"cannot be made"}, nil, "--data-dir", filepath.Join(dir, "other"), "--listen-addr", "127.0.0.1:0")
}

// mount makes a small real file system, and skips the test where it may not.
func mount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("statehouse-test", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			_ = syscall.Unmount(dir, syscall.MNT_DETACH)
			t.Logf("unmounting: %v", err)
		}
	})
	return dir
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	dir := filepath.Join(t.TempDir(), "data")
	for _, host := range []string{"127.0.0.1", "localhost"} {
		fails(t, exitFailed, []string{port, "in use", "--listen-addr"}, nil, "--data-dir", dir, "--listen-addr", net.JoinHostPort(host, port))
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("a daemon that could not listen left a store behind: %v", err)
	}
}
