package simdisk

// hooks are what others want to be called at. Each is called by the goroutine that
// does the operation, with no lock held.
type hooks struct {
	op     func(Op)
	crash  func()
	stall  func(Op)
	inject func(Injection)
}

// OnOp sets a function to be called at the start of every operation, before its
// effect and before a fault strikes. No lock is held: it may block, use the disk,
// crash or kill it. It is called by the goroutine that does the operation.
func (d *Disk) OnOp(hook func(Op)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hooks.op = hook
}

// OnCrash sets the function that a PowerCut calls from inside the operation, with
// no lock held. It is expected to call Crash, or Kill. A PowerCut on a disk without
// this hook panics, so that it cannot go unnoticed.
func (d *Disk) OnCrash(hook func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hooks.crash = hook
}

// OnStall sets the function that a Stall calls at the start of the operation, with
// no lock held. It is expected to let the simulated time pass that the operation
// takes. Without it a Stall is recorded and does nothing.
func (d *Disk) OnStall(hook func(Op)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hooks.stall = hook
}

// OnInject sets a function to be called when a fault has struck, with no lock held
// and as Injected lists it: of a PowerCut or a Stall before their own hooks, of
// every other fault when its operation is about to return, for only then is it
// known what exactly it did.
func (d *Disk) OnInject(hook func(Injection)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hooks.inject = hook
}

// task is an operation on the way: what it is and what it does.
type task struct {
	Op
	// effect is called with the lock held, and with the fault that it has to bring
	// about itself, if any. It may add a Detail to that.
	effect func(hit *Injection) error
	file   *file  // of a read or write
	data   []byte // of a write
}

// able tells, with the lock held, whether a fault that fits the operation would make
// a difference to it.
func (t task) able(k FaultKind) (ok bool) {
	switch k {
	case Misread:
		_, ok = t.file.misreadAt(t.Op)
	case MisdirectedWrite:
		_, ok = t.file.misdirectAt(t.Op, t.data)
	default:
		ok = true
	}
	return ok
}

// do runs one operation: count, hook, fault, effect.
func (d *Disk) do(t task) error {
	d.mu.Lock()
	if d.dead {
		defer d.mu.Unlock()
		return t.effect(nil)
	}
	if t.Class == "" { // an open file knows its own
		t.Class = d.classOf(t.Op)
	}
	d.ledger.enter(&t.Op)
	if hook := d.hooks.op; hook != nil {
		d.unlocked(func() { hook(t.Op) })
	}
	var err error
	if fault := d.strike(t); fault < 0 {
		err = t.effect(nil)
	} else {
		err = d.doFaulty(t, fault)
	}
	d.mu.Unlock()
	return err
}

// strike returns the number of the injection that hits an operation, or -1.
func (d *Disk) strike(t task) int {
	if d.dead { // a hook may have crashed it
		return -1
	}
	return d.ledger.strike(t)
}

// doFaulty brings about the effect of an operation with a fault in it. The lock is
// held before and after.
func (d *Disk) doFaulty(t task, number int) error {
	hit := d.ledger.injected[number]
	fault := hit.Fault
	switch fault.Kind {
	case PowerCut, Stall:
		d.report(hit)
		if fault.Kind == Stall {
			d.stall(t.Op)
		} else if fault.When == Before {
			d.cutPower()
		}
		err := t.effect(nil)
		if fault.When == After && !d.dead {
			d.cutPower()
		}
		return err
	}
	var err error
	if errno, ok := fault.Kind.errno(); ok {
		err = pathError(t.Kind, t.Path, errno)
	} else {
		err = t.effect(&hit)
	}
	d.ledger.injected[number].Detail = hit.Detail
	d.report(hit)
	return err
}

// cutPower calls the crash hook.
func (d *Disk) cutPower() {
	hook := d.hooks.crash
	d.unlocked(func() {
		if hook == nil {
			panic("simdisk: a crash fault struck a disk without a crash hook")
		}
		hook()
	})
}

func (d *Disk) stall(op Op) {
	if hook := d.hooks.stall; hook != nil {
		d.unlocked(func() { hook(op) })
	}
}

func (d *Disk) report(hit Injection) {
	if hook := d.hooks.inject; hook != nil {
		d.unlocked(func() { hook(hit) })
	}
}

// unlocked calls a hook. The lock is held before and after, not during. A panic of
// the hook leaves it free, as the callers expect who do not get to free it.
func (d *Disk) unlocked(hook func()) {
	d.mu.Unlock()
	hook()
	d.mu.Lock()
}
