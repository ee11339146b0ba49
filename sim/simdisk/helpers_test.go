package simdisk_test

import (
	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/sim/simdisk"
)

// tester is what *testing.T and *rapid.T have in common.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

func must(t tester, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

func parse(t tester, s string) simdisk.Fault {
	t.Helper()
	f, err := simdisk.ParseFault(s)
	must(t, err)
	return f
}

// put makes a file with synced content; its name is not durable.
func put(fs vfs.FS, name, content string) error {
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if _, err := f.Write([]byte(content)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

func syncDir(fs vfs.FS, name string) error {
	f, err := fs.OpenDir(name)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}
