package step

import (
	"fmt"
	"slices"

	"statehouse.dev/statehouse/sim/simdisk"
)

// storeOps is what a store does to the files of each class. A fault of anything else
// could be armed and would wait for ever, and its scenario would pass without it.
// TestStoreOps holds the table to what the store is seen to do, in both directions.
var storeOps = map[simdisk.Class][]simdisk.OpKind{
	simdisk.ClassWAL:      {simdisk.OpCreate, simdisk.OpOpen, simdisk.OpRead, simdisk.OpWrite, simdisk.OpSync, simdisk.OpRename, simdisk.OpRemove},
	simdisk.ClassManifest: {simdisk.OpCreate, simdisk.OpOpen, simdisk.OpRead, simdisk.OpWrite, simdisk.OpSync, simdisk.OpRemove},
	simdisk.ClassMarker:   {simdisk.OpCreate, simdisk.OpRemove},
	simdisk.ClassSSTable:  {simdisk.OpCreate, simdisk.OpOpen, simdisk.OpRead, simdisk.OpWrite, simdisk.OpSync, simdisk.OpRemove},
	simdisk.ClassOptions:  {simdisk.OpOpen, simdisk.OpRead, simdisk.OpRename, simdisk.OpRemove}, // written under another name
	simdisk.ClassLock:     {simdisk.OpOpen, simdisk.OpLock},
	simdisk.ClassDir:      {simdisk.OpOpen, simdisk.OpDirSync, simdisk.OpMkdir},
	simdisk.ClassWitness:  {simdisk.OpCreate, simdisk.OpOpen, simdisk.OpRead, simdisk.OpWrite, simdisk.OpSync, simdisk.OpRename},
	simdisk.ClassIdentity: {simdisk.OpOpen, simdisk.OpRead, simdisk.OpRename}, // written under another name
	simdisk.ClassOther:    {simdisk.OpCreate, simdisk.OpOpen, simdisk.OpRead, simdisk.OpWrite, simdisk.OpSync, simdisk.OpRename, simdisk.OpRemove},
}

// StoreDoes reports whether a store does an operation on files of a class.
func StoreDoes(class simdisk.Class, op simdisk.OpKind) bool {
	return slices.Contains(storeOps[class], op)
}

// checkFault reports why a fault could never strike a store, if it could not.
func checkFault(f simdisk.Fault) error {
	op := f.Target()
	if f.File == "" {
		for _, class := range simdisk.Classes() {
			if StoreDoes(class, op) {
				return nil
			}
		}
		return fmt.Errorf("%s can never strike: nothing in a store is done by %s", f.Kind, op)
	}
	class, err := classOf(f.File)
	if err != nil {
		return err
	}
	if !StoreDoes(class, op) {
		return fmt.Errorf("%s can never strike: a file of class %s sees no %s, only %v", f.Kind, class, op, storeOps[class])
	}
	return nil
}

// classOf is the class that a step names, or that the file it names is of.
func classOf(file string) (simdisk.Class, error) {
	if class := simdisk.Class(file); slices.Contains(simdisk.Classes(), class) {
		return class, nil
	}
	if class := simdisk.ClassOf(file); class != simdisk.ClassOther {
		return class, nil
	}
	return "", fmt.Errorf("%q is no class of files, want one of %v", file, simdisk.Classes())
}
