package sim

import "statehouse.dev/statehouse/sim/simdisk"

// faults are those that steps armed, and those that struck.
type faults struct {
	armed  []armed
	struck []string // in this step
}

// armed is a fault that a step armed.
type armed struct {
	Armed
	fault simdisk.Fault
	able  bool
}

// Armed is a fault that a step of a run armed.
type Armed struct {
	Step   int // its place among the steps applied, from 0
	Struck int // how often it struck, then or later
}

// arm notes that a fault is armed, to learn whether it strikes.
func (w *World) arm(f simdisk.Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults.armed = append(w.faults.armed, armed{Armed{Step: len(w.rec.steps)}, f, true})
}

// disarm says that what is armed and has not struck never will: the disk it was armed
// on is healed, or gone.
func (w *World) disarm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.faults.armed {
		w.faults.armed[i].able = false
	}
}

// struck is called by the disk when a fault strikes. Of several that are alike the disk
// uses up the first one first, and so does this.
func (n *node) struck(i simdisk.Injection) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	kind := string(i.Fault.Kind)
	if i.Fault.Kind == simdisk.PowerCut {
		kind = "power cut inside an operation"
	}
	n.w.rec.stats.Faults[kind]++
	if n.process != nil {
		n.process.troubled = true
	}
	n.faults.struck = append(n.faults.struck, i.String())
	n.reasons.struck(i)
	for at := range n.faults.armed {
		a := &n.faults.armed[at]
		if a.able && a.fault == i.Fault && (i.Fault.Count == simdisk.Forever || a.Struck < i.Fault.Count) {
			a.Struck++
			return
		}
	}
}

// list is what became of each fault that was armed.
func (f *faults) list() (list []Armed) {
	for i := range f.armed {
		list = append(list, f.armed[i].Armed)
	}
	return list
}
