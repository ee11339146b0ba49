package sim

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

// checkFault reports why a fault could never strike a store, if it could not.
func checkFault(f simdisk.Fault) error {
	op := f.Target()
	if f.File == "" {
		for _, class := range simdisk.Classes() {
			if slices.Contains(storeOps[class], op) {
				return nil
			}
		}
		return fmt.Errorf("%s can never strike: nothing in a store is done by %s", f.Kind, op)
	}
	class, err := classOf(f.File)
	if err != nil {
		return err
	}
	if !slices.Contains(storeOps[class], op) {
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

// armed is a fault that a step armed.
type armed struct {
	step   int // its place among the steps applied
	fault  simdisk.Fault
	struck int // times
	able   bool
}

// arm notes that a fault is armed, to learn whether it strikes.
func (w *World) arm(f simdisk.Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed = append(w.armed, armed{step: len(w.steps), fault: f, able: true})
}

// disarm says that what is armed and has not struck never will: the disk it was armed
// on is healed, or gone.
func (w *World) disarm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.armed {
		w.armed[i].able = false
	}
}

// struckBy counts a strike for the fault that it came of. Of several that are alike the
// disk uses up the first one first, and so does this. The caller holds w.mu.
func (w *World) struckBy(f simdisk.Fault) {
	for i := range w.armed {
		a := &w.armed[i]
		if a.able && a.fault == f && (f.Count == simdisk.Forever || a.struck < f.Count) {
			a.struck++
			return
		}
	}
}

// unstruck lists the places, among the steps applied, of faults that never struck.
func (w *World) unstruck() (list []int) {
	for i := range w.armed {
		if w.armed[i].struck == 0 {
			list = append(list, w.armed[i].step)
		}
	}
	return list
}
