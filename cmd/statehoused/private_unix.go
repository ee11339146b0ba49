//go:build unix

package main

import (
	"io/fs"
	"log/slog"
	"path/filepath"
	"syscall"
)

// keepPrivate makes every file of this process its user's alone, whatever umask it was
// started with: 0600, directories 0700. What agents keep is nobody else's to read.
func keepPrivate() { syscall.Umask(0o077) }

// mayWrite looks whether this process may make files in a directory, and makes none.
func mayWrite(dir string) error {
	const writeAndSearch = 2 | 1
	return syscall.Access(dir, writeAndSearch)
}

// warnReadable tells of what is there already, from builds or copies that did not see
// to that, and that others can read or change.
func warnReadable(log *slog.Logger, dirs ...string) {
	for _, dir := range dirs {
		var count int
		var first string
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // whoever needs it will say so
			}
			if info, err := d.Info(); err == nil && d.Type()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o077 != 0 {
				if count++; count == 1 {
					first = path
				}
			}
			return nil
		})
		if count > 0 {
			log.Warn("others on this machine can get at files of the store; as their owner, run: chmod -R go= DIR", "dir", dir, "files", count, "first", first)
		}
	}
}
