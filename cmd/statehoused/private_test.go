package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc/status"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// others lists what in a directory is not its owner's alone.
func others(t *testing.T, dir string) (list []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			list = append(list, info.Mode().String()+" "+path)
		}
		return err
	}))
	return list
}

// TestFilesArePrivate: whatever the umask, nothing that the daemon makes is for others:
// the store, what it captures, and what it dumps of that. What is so already it says.
func TestFilesArePrivate(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o077} {
		dir := filepath.Join(t.TempDir(), "data")
		old := syscall.Umask(mask)
		d := start(t, dir, "--capture")
		syscall.Umask(old)
		for n := range 3 {
			must(t, writes(t, d, n))
		}
		d.signal(syscall.SIGUSR1)
		eventually(t, "the capture is dumped", func() error {
			if strings.Contains(d.log(), "the capture was dumped") {
				return nil
			}
			return errNotYet
		})
		d.terminate()
		if list := others(t, dir); len(list) > 0 {
			t.Errorf("umask %03o: %v", mask, list)
		}
		if strings.Contains(d.log(), "others on this machine") {
			t.Errorf("umask %03o: it warns of its own files:\n%s", mask, d.log())
		}
		must(t, os.Chmod(filepath.Join(dir, "store"), 0o755))
		must(t, os.Chmod(filepath.Join(dir, "witness"), 0o644))
		d = start(t, dir)
		d.terminate()
		if !strings.Contains(d.log(), "others on this machine") || !strings.Contains(d.log(), "files=2") {
			t.Errorf("umask %03o: it does not warn of two files that others can read:\n%s", mask, d.log())
		}
	}
}

// TestUsedVolume: what a file system, or whoever looks into a directory, leaves there
// does not make it somebody else's.
func TestUsedVolume(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "lost+found"), 0o700))
	must(t, os.Mkdir(filepath.Join(dir, ".Trash-1000"), 0o700))
	for _, name := range []string{".DS_Store", ".nfs000000012345", ".snapshot"} {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	d := start(t, dir)
	must(t, writes(t, d, 0))
	d.terminate()
	d = start(t, dir, "--must-exist")
	d.terminate()
	if r := verified(t, dir); r.Commits != 1 {
		t.Errorf("%d commits", r.Commits)
	}
	other := t.TempDir()
	must(t, os.WriteFile(filepath.Join(other, "DS_Store"), nil, 0o600))
	fails(t, exitDataDir, []string{"DS_Store"}, nil, "--data-dir", other, "--listen-addr", "127.0.0.1:0")
}

// TestClientsLearnNoPaths: what a client is told of a store that is damaged, and of a
// capture that cannot be written, does not say where on the machine they are.
func TestClientsLearnNoPaths(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "data")
	d := start(t, dir)
	for n := range 50 { // large enough for most of a table to be of values
		ops := []*pb.TransactOperation{put("ann", fmt.Sprint("key-", n), `{"text":"`+strings.Repeat("x", 4000)+`"}`)}
		_, err := d.Transact(call(t), &pb.TransactRequest{TxnId: fmt.Sprint("txn-", n), Operations: ops})
		must(t, err)
	}
	d.terminate()
	d = start(t, dir) // what it finds in the log it writes to a table
	d.terminate()
	tables, err := filepath.Glob(filepath.Join(dir, "store", "*.sst"))
	must(t, err)
	for _, table := range tables {
		if info, err := os.Stat(table); err == nil && info.Size() > 100<<10 {
			flipBit(t, table, 0.5)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "capture"), nil, 0o600)) // a file, where a directory must be
	d = start(t, dir)
	var told []string
	tell := func(err error) {
		if err != nil {
			s := status.Convert(err)
			told = append(told, s.String())
			for _, detail := range s.Details() {
				told = append(told, detail.(*pb.StatehouseError).String())
			}
		}
	}
	for n := range 50 {
		_, err := d.GetState(call(t), &pb.GetStateRequest{AgentId: "ann", Key: fmt.Sprint("key-", n)})
		tell(err)
	}
	tell(writes(t, d, 100))
	st, err := d.GetStatus(call(t), &pb.GetStatusRequest{})
	tell(err)
	told = append(told, st.String())
	captures := pb.NewCaptureServiceClient(d.conn)
	cs, err := captures.StartCapture(call(t), &pb.StartCaptureRequest{})
	tell(err)
	told = append(told, cs.String())
	cs, err = captures.GetCaptureStatus(call(t), &pb.GetCaptureStatusRequest{})
	tell(err)
	told = append(told, cs.String())
	if len(told) < 5 || !strings.Contains(strings.Join(told, "\n"), "is damaged") {
		t.Errorf("the client is told of no damage: %q", told)
	}
	for _, text := range told {
		if strings.Contains(text, base) {
			t.Errorf("a client is told a path: %s", text)
		}
	}
	if !strings.Contains(d.log(), filepath.Join(dir, "store")) {
		t.Errorf("the daemon's log does not say where:\n%s", d.log())
	}
}

// flipBit damages a file.
func flipBit(t *testing.T, path string, where float64) {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	content[int(where*float64(len(content)))] ^= 4
	must(t, os.WriteFile(path, content, 0o600))
}
