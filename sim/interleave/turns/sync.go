package turns

import "sync"

// Locker is sync.Locker.
type Locker = sync.Locker

// Pool is sync.Pool: nobody waits for it.
type Pool = sync.Pool

// Mutex is sync.Mutex. Goroutines beside the run hold the real one, for a moment.
type Mutex struct {
	real sync.Mutex
	held bool // by a thread
}

func (m *Mutex) Lock() {
	if until("Lock", func() bool { return !m.held }) {
		m.real.Lock()
		m.held = true
		return
	}
	m.real.Lock()
}

func (m *Mutex) TryLock() bool {
	r, _ := me()
	if r == nil {
		return m.real.TryLock()
	}
	point("TryLock")
	if m.held || !m.real.TryLock() {
		return false
	}
	m.held = true
	return true
}

func (m *Mutex) Unlock() {
	point("Unlock")
	m.held = false
	m.real.Unlock()
	point("what follows Unlock")
}

// RWMutex is sync.RWMutex.
type RWMutex struct {
	real    sync.RWMutex
	writing bool // a thread
	readers int  // threads
}

func (m *RWMutex) Lock() {
	if until("Lock", func() bool { return !m.writing && m.readers == 0 }) {
		m.real.Lock()
		m.writing = true
		return
	}
	m.real.Lock()
}

func (m *RWMutex) Unlock() {
	point("Unlock")
	if r, _ := me(); r != nil {
		m.writing = false
	}
	m.real.Unlock()
	point("what follows Unlock")
}

func (m *RWMutex) RLock() {
	if until("RLock", func() bool { return !m.writing }) {
		m.real.RLock()
		m.readers++
		return
	}
	m.real.RLock()
}

func (m *RWMutex) RUnlock() {
	point("RUnlock")
	if r, _ := me(); r != nil {
		m.readers--
	}
	m.real.RUnlock()
	point("what follows RUnlock")
}

// Once is sync.Once.
type Once struct {
	m    Mutex
	done bool
}

func (o *Once) Do(f func()) {
	o.m.Lock()
	defer o.m.Unlock()
	if !o.done {
		defer func() { o.done = true }()
		f()
	}
}

// WaitGroup is sync.WaitGroup.
type WaitGroup struct {
	n    int
	real sync.WaitGroup
}

func (w *WaitGroup) Add(n int) {
	point("Add")
	w.real.Add(n) // panics as it does
	w.n += n
	point("what follows Add")
}

func (w *WaitGroup) Done() { w.Add(-1) }

func (w *WaitGroup) Wait() {
	if !until("Wait", func() bool { return w.n == 0 }) {
		w.real.Wait()
	}
}

func (w *WaitGroup) Go(f func()) {
	w.Add(1)
	Go(func() {
		defer w.Done()
		f()
	})
}

// Map is sync.Map.
type Map struct{ real sync.Map }

func (m *Map) Load(key any) (value any, ok bool) {
	point("Load")
	return m.real.Load(key)
}

func (m *Map) Store(key, value any) {
	point("Store")
	m.real.Store(key, value)
}

func (m *Map) Clear() {
	point("Clear")
	m.real.Clear()
}
