package tamper

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// systemTag is of rows that have a kind and a name; ownKind is the kind of those that each machine of a cluster keeps
// for itself: up to where it has the log.
const (
	systemTag = 's'
	ownKind   = "raft"
)

// Differ says where two stores that nobody has open are not the same, row by row; empty: nowhere. What each of two
// machines that keep one store has for itself need not be.
func Differ(a, b vfs.FS, dir string) (where string, err error) {
	var its [2]*pebble.Iterator
	for i, fs := range []vfs.FS{a, b} {
		o := options(fs)
		o.ReadOnly = true
		db, err := pebble.Open(fs.PathJoin(dir, "store"), o)
		if err != nil {
			return "", err
		}
		defer db.Close()
		if its[i], err = db.NewIter(nil); err != nil {
			return "", err
		}
		defer its[i].Close()
		its[i].First()
	}
	x, y := its[0], its[1]
	for {
		for _, it := range its {
			for it.Valid() && isOwn(it.Key()) {
				it.Next()
			}
		}
		switch {
		case !x.Valid() && !y.Valid():
			return "", errors.Join(x.Error(), y.Error())
		case !y.Valid() || x.Valid() && bytes.Compare(x.Key(), y.Key()) < 0:
			return fmt.Sprintf("row %q is on the first alone", x.Key()), nil
		case !x.Valid() || !bytes.Equal(x.Key(), y.Key()):
			return fmt.Sprintf("row %q is on the second alone", y.Key()), nil
		case !bytes.Equal(x.Value(), y.Value()):
			return fmt.Sprintf("row %q is %x on the first, and %x on the second", x.Key(), x.Value(), y.Value()), nil
		}
		x.Next()
		y.Next()
	}
}

func isOwn(key []byte) bool {
	list, _, ok := names(key, systemTag, 1)
	return ok && list[0] == ownKind
}
