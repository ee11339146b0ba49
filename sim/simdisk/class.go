package simdisk

import (
	"path"
	"strings"
)

// Class says what a file is for. Faults name the files they hit by class.
type Class string

// The classes of files in a store directory.
const (
	ClassWAL      Class = "wal"      // NNNNNN.log
	ClassManifest Class = "manifest" // MANIFEST-NNNNNN
	ClassMarker   Class = "marker"   // marker.*
	ClassSSTable  Class = "sstable"  // NNNNNN.sst, and NNNNNN.blob with values split off from one
	ClassOptions  Class = "options"  // OPTIONS-NNNNNN
	ClassLock     Class = "lock"     // LOCK
	ClassDir      Class = "dir"      // any directory
	ClassWitness  Class = "witness"  // witness*
	ClassIdentity Class = "identity" // STATEHOUSE
	ClassOther    Class = "other"    // anything else
)

// Classes lists every class, in a fixed order.
func Classes() []Class {
	return []Class{
		ClassWAL, ClassManifest, ClassMarker, ClassSSTable, ClassOptions,
		ClassLock, ClassDir, ClassWitness, ClassIdentity, ClassOther,
	}
}

// ClassOf tells the class of a file from its name alone. It says ClassDir only of
// the root and of a path that ends in a slash; the disk itself knows which of
// its other paths are directories, and reports those as ClassDir.
func ClassOf(name string) Class {
	if strings.HasSuffix(name, "/") {
		return ClassDir
	}
	base := path.Base(name)
	stem, ext, _ := strings.Cut(base, ".")
	switch {
	case base == ".": // path.Base of the empty path
		return ClassDir
	case base == "LOCK":
		return ClassLock
	case base == "STATEHOUSE":
		return ClassIdentity
	case strings.HasPrefix(base, "witness"):
		return ClassWitness
	case strings.HasPrefix(base, "marker."):
		return ClassMarker
	case isNumbered(base, "MANIFEST-"):
		return ClassManifest
	case isNumbered(base, "OPTIONS-"):
		return ClassOptions
	case ext == "log" && isLogStem(stem):
		return ClassWAL
	case (ext == "sst" || ext == "blob") && isDigits(stem):
		return ClassSSTable
	}
	return ClassOther
}

// isLogStem accepts Pebble's two forms of a log's number: 000012 and, for a
// log split over several files, 000012-003.
func isLogStem(stem string) bool {
	number, part, split := strings.Cut(stem, "-")
	return isDigits(number) && (!split || isDigits(part))
}

func isNumbered(base, prefix string) bool {
	rest, ok := strings.CutPrefix(base, prefix)
	return ok && isDigits(rest)
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
