package engine

import (
	"errors"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/words"
)

// prepareDir makes sure that dir can hold a store. Each obstacle has its own message.
func prepareDir(fs vfs.FS, dir string, mustExist bool) error {
	exists, isStore, err := examineDir(fs, dir, mustExist)
	switch {
	case err != nil:
		return err
	case !exists:
		return makeDir(fs, dir)
	}
	if !isStore {
		// A process that was killed may have made dir, or directories above it, and not
		// synced their names. We may lack the right to sync some of those above.
		for at := dir; at != fs.PathDir(at); at = fs.PathDir(at) {
			_ = syncDir(fs, fs.PathDir(at))
		}
	}
	return checkWritable(fs, dir)
}

// examineDir looks whether dir can hold a store, or does.
func examineDir(fs vfs.FS, dir string, mustExist bool) (exists, isStore bool, err error) {
	if dir == "" {
		return false, false, words.Failf(ErrInvalid, "no data directory is given")
	}
	info, err := fs.Stat(dir)
	switch {
	case isNotExist(err) && mustExist:
		return false, false, words.Failf(ErrNoStore, "%s does not exist, and a store must (is a mount missing?)", dir)
	case isNotExist(err):
		return false, false, nil
	case err != nil:
		return false, false, openFailure(err, "%s cannot be looked at", dir)
	case !info.IsDir():
		return true, false, words.Failf(ErrUnusable, "%s is a file, not a directory", dir)
	}
	names, err := fs.List(dir)
	if err != nil {
		return true, false, openFailure(err, "%s cannot be listed", dir)
	}
	isStore = slices.Contains(names, identityName)
	if mustExist && !isStore {
		return true, false, words.Failf(ErrNoStore, "%s holds no store, and one must be there", dir)
	}
	if !isStore && slices.Contains(names, restoringName) {
		return true, false, interruptedRestore(dir)
	}
	for _, n := range names {
		if !isStore && !ofAttempt(n) && !ofSystem(n) {
			return true, false, words.Failf(ErrUnusable, "%s holds %q, which is not of a Statehouse store: choose an empty directory", dir, n)
		}
	}
	return true, isStore, nil
}

// CheckDir looks whether a store could be opened or made in dir, as far as that can be told
// without doing it, and while another process may have it open. It changes nothing. A
// directory that does not exist passes.
func CheckDir(env Env, dir string, mustExist bool) error {
	_, isStore, err := examineDir(env.FS, dir, mustExist)
	if err == nil && isStore {
		_, err = readIdentity(env.FS, env.FS.PathJoin(dir, identityName))
	}
	return err
}

// ofAttempt reports whether a file may be left from an interrupted creation of a store.
func ofAttempt(name string) bool {
	return slices.Contains([]string{storeName, witnessName, witnessName + ".tmp", ballastName, lockName, identityName + ".tmp"}, name)
}

// ofSystem reports whether a file may be in an unused directory: left there by a file
// system or a file browser.
func ofSystem(name string) bool { return name == "lost+found" || strings.HasPrefix(name, ".") }

// makeDir makes dir and its missing parents, and makes their names durable: a synced
// file is still lost if the name of its directory is.
func makeDir(fs vfs.FS, dir string) error {
	above := []string{fs.PathDir(dir)}
	for at := above[0]; at != fs.PathDir(at); {
		if _, err := fs.Stat(at); !isNotExist(err) {
			break
		}
		at = fs.PathDir(at)
		above = append(above, at)
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return openFailure(err, "%s cannot be made", dir)
	}
	for _, at := range above {
		if err := syncDir(fs, at); err != nil {
			return openFailure(err, "%s, which %s is in, cannot be synced", at, dir)
		}
	}
	return nil
}

func checkWritable(fs vfs.FS, dir string) error {
	probe := fs.PathJoin(dir, lockName)
	f, err := fs.OpenReadWrite(probe, vfs.WriteCategoryUnspecified)
	if err != nil {
		return openFailure(err, "%s is not writable", dir)
	}
	_ = f.Close()
	return nil
}

// checkStoreDir reads the identity of a directory that must hold a store.
func checkStoreDir(env Env, dir string) (*identity, error) {
	if err := checkDir(env.FS, dir); err != nil {
		return nil, err
	}
	id, err := readIdentityOf(env.FS, dir)
	if err != nil {
		return nil, err
	}
	if id == nil {
		names, err := env.FS.List(dir)
		if err == nil && len(names) == 0 {
			return nil, words.Failf(ErrNoStore, "%s is empty: no store was made there", dir)
		}
		if slices.Contains(names, restoringName) {
			return nil, interruptedRestore(dir)
		}
		if holdsCommits(env, dir) {
			return nil, identityMissing(dir)
		}
		return nil, words.Failf(ErrNoStore, "%s has no file %s: not a data directory, or one whose making was interrupted", dir, identityName)
	}
	return id, nil
}

// checkDir refuses what is no directory.
func checkDir(fs vfs.FS, dir string) error {
	switch info, err := fs.Stat(dir); {
	case isNotExist(err):
		return words.Failf(ErrNoStore, "%s does not exist", dir)
	case err != nil:
		return openFailure(err, "%s cannot be looked at", dir)
	case !info.IsDir():
		return words.Failf(ErrUnusable, "%s is a file, not a data directory", dir)
	}
	return nil
}

// holdsCommits reports whether a directory without an identity file once had one. A
// store takes commits only after that file is written.
func holdsCommits(env Env, dir string) bool {
	ev, err := readEvidence(env.FS, dir)
	if err != nil || ev.sawCommits() {
		return ev.sawCommits()
	}
	log := pebbleLog{env.Log, func(error) {}}
	db, err := openToRead(env.FS, env.FS.PathJoin(dir, storeName), nil, &ev, Tuning{MemTableBytes: maxMemTable, ManualCompaction: true}, log)
	if err != nil {
		return false
	}
	head, _, err := readHead(db)
	return errors.Join(err, db.Close()) == nil && head.ts > 0
}
