package founding

import (
	"errors"
	iofs "io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine"
)

// Leaving says in a directory, durably, that it is no member's any more, and not yet that of one machine.
func Leaving(fs vfs.FS, dir string, id *Identity) error {
	leaving := *id
	leaving.Leaving = true
	return writeFile(fs, fs.PathJoin(dir, engine.MemberFile), leaving.encode())
}

// Removed says in a directory, durably, that its member was removed from the cluster.
func Removed(fs vfs.FS, dir string, id *Identity) error {
	removed := *id
	removed.Removed = true
	return writeFile(fs, fs.PathJoin(dir, engine.MemberFile), removed.encode())
}

// Rename gives a part of a directory another name, durably.
func Rename(fs vfs.FS, dir, from, to string) error {
	if err := fs.Rename(fs.PathJoin(dir, from), fs.PathJoin(dir, to)); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

// Left takes out of a directory what made it a member's, and last that it was one.
func Left(fs vfs.FS, dir string) error {
	for _, part := range []string{initialDir, joiningDir} {
		if err := fs.RemoveAll(fs.PathJoin(dir, part)); err != nil {
			return err
		}
	}
	if err := fs.Remove(fs.PathJoin(dir, engine.MemberFile)); err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return err
	}
	return syncDir(fs, dir)
}
