package engine

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/words"
)

// This file turns errors of the system and of Pebble into Failures. An error while
// opening means one of three things: the directory is unsuitable, the store is corrupt,
// or the disk has failed. Each asks the operator to do something else, so each has an
// exit code of its own.

// unfit are the errors of a working system for an unsuitable path.
var unfit = []syscall.Errno{
	syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOENT, syscall.ENOTDIR, syscall.EISDIR,
	syscall.EEXIST, syscall.EINVAL, syscall.ELOOP, syscall.ENAMETOOLONG,
}

// failedIO reports whether err is a failure of the system rather than of the path: the
// disk is failing, full or gone, or there are no more file descriptors.
func failedIO(err error) bool {
	var no syscall.Errno
	return errors.As(err, &no) && !slices.Contains(unfit, no)
}

// openFailure makes a Failure of a system error: ErrStorage for the disk, ErrUnusable
// for the directory. A Failure stays as it is.
func openFailure(err error, format string, args ...any) error {
	var known *Failure
	if errors.As(err, &known) {
		return err
	}
	kind := ErrUnusable
	if failedIO(err) {
		kind = ErrStorage
	}
	return words.Failf(kind, "%s: %v", fmt.Sprintf(format, args...), err)
}

// openError says why Pebble could not open the store in dir; file is the one it read
// last. If the system reported no error, the content is corrupt.
func openError(dir, file string, err error) error {
	var known *Failure
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, pebble.ErrDBDoesNotExist):
		return lostFiles(dir)
	case tablesWrong.MatchString(err.Error()):
		return tablesError(dir, err)
	case pebble.IsCorruptionError(err), isNotExist(err):
	case errors.As(err, new(syscall.Errno)):
		return openFailure(err, "%s cannot be opened", dir)
	}
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		file = path.Base(info.Path)
	}
	return words.Failf(ErrDataLoss, "%s is damaged: %s", filepath.Join(dir, file), whatIsWrong(file))
}

func lostFiles(dir string) *Failure {
	return words.Failf(ErrDataLoss, "%s has lost its files: the directory says it is a store, but there is none", dir)
}

// tablesWrong matches the parts of Pebble's message about missing or changed tables.
var tablesWrong = regexp.MustCompile(`L\d+: (\d+): (object size mismatch .*: (\d+) \(disk\) != (\d+) \(MANIFEST\))?`)

// tablesError names the tables that are missing or have another size than the manifest
// says.
func tablesError(dir string, err error) error {
	var found []string
	for _, m := range tablesWrong.FindAllStringSubmatch(err.Error(), -1) {
		table := tableName(m[1])
		if m[2] == "" {
			found = append(found, table+" is missing")
		} else {
			found = append(found, fmt.Sprintf("%s is %s bytes long and should be %s", table, m[3], m[4]))
		}
	}
	return words.Failf(ErrDataLoss, "%s is damaged: %s", dir, strings.Join(found, ", "))
}

func tableName(number string) string { return number + ".sst" }

// whatIsWrong describes a corrupt file of the store by its name.
func whatIsWrong(base string) string {
	switch {
	case strings.HasPrefix(base, "MANIFEST-"):
		return "the list of tables does not check"
	case strings.HasPrefix(base, "OPTIONS-"):
		return "it is not how this store writes its options"
	case strings.HasSuffix(base, ".log"):
		return "a record of the log does not check, and others follow"
	case strings.HasSuffix(base, ".sst"):
		return "a block of the table does not check"
	}
	return "its files do not fit each other"
}

// storageError makes a Failure of an error that Pebble returned. It reaches clients, who
// must not learn where on the machine the store is.
func storageError(err error) error {
	var known *Failure
	if errors.As(err, &known) {
		return known // without the text that Pebble added
	}
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		return corruptFile(info.Path)
	}
	switch {
	case pebble.IsCorruptionError(err):
		return words.Failf(ErrDataLoss, "damage was met while reading")
	case isNotExist(err):
		return words.Failf(ErrDataLoss, "a file of the store is missing")
	}
	return words.Failf(ErrStorage, "reading failed: %s", withoutPath(err))
}

// corruptFile names a corrupt file of a running store without its path.
func corruptFile(name string) *Failure {
	base := path.Base(name)
	return words.Failf(ErrDataLoss, "%s is damaged: %s", base, whatIsWrong(base))
}

// withoutPath is the message of err without a path: the system's error, if there is one.
// The daemon's log has the whole message.
func withoutPath(err error) string {
	var no syscall.Errno
	if errors.As(err, &no) {
		return no.Error()
	}
	var at *iofs.PathError
	if errors.As(err, &at) {
		return at.Err.Error()
	}
	return "the storage engine could not do it"
}
