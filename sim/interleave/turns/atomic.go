package turns

import "sync/atomic"

// number is an integer of package sync/atomic, with a point before every operation, and
// one after those that others may wait for.
type number[V any, R any, P interface {
	*R
	Load() V
	Store(V)
	Swap(V) V
	Add(V) V
	And(V) V
	CompareAndSwap(old, new V) bool
}] struct{ real R }

func (n *number[V, R, P]) Load() V {
	point("Load")
	return P(&n.real).Load()
}

func (n *number[V, R, P]) Store(v V) {
	point("Store")
	P(&n.real).Store(v)
	point("what follows Store")
}

func (n *number[V, R, P]) Swap(v V) V {
	point("Swap")
	return P(&n.real).Swap(v)
}

func (n *number[V, R, P]) Add(v V) V {
	point("Add")
	return P(&n.real).Add(v)
}

func (n *number[V, R, P]) And(v V) V {
	point("And")
	return P(&n.real).And(v)
}

func (n *number[V, R, P]) CompareAndSwap(old, v V) bool {
	point("CompareAndSwap")
	return P(&n.real).CompareAndSwap(old, v)
}

// Integers of package sync/atomic.
type (
	Int32  = number[int32, atomic.Int32, *atomic.Int32]
	Int64  = number[int64, atomic.Int64, *atomic.Int64]
	Uint64 = number[uint64, atomic.Uint64, *atomic.Uint64]
)

// Bool is atomic.Bool.
type Bool struct{ real atomic.Bool }

func (b *Bool) Load() bool {
	point("Load")
	return b.real.Load()
}

func (b *Bool) Store(v bool) {
	point("Store")
	b.real.Store(v)
	point("what follows Store")
}

func (b *Bool) Swap(v bool) bool {
	point("Swap")
	return b.real.Swap(v)
}

func (b *Bool) CompareAndSwap(old, v bool) bool {
	point("CompareAndSwap")
	return b.real.CompareAndSwap(old, v)
}

// Pointer is atomic.Pointer.
type Pointer[T any] struct{ real atomic.Pointer[T] }

func (p *Pointer[T]) Load() *T {
	point("Load")
	return p.real.Load()
}

func (p *Pointer[T]) Store(v *T) {
	point("Store")
	p.real.Store(v)
	point("what follows Store")
}

func (p *Pointer[T]) Swap(v *T) *T {
	point("Swap")
	return p.real.Swap(v)
}

func (p *Pointer[T]) CompareAndSwap(old, v *T) bool {
	point("CompareAndSwap")
	return p.real.CompareAndSwap(old, v)
}
