package capture

import (
	"math/bits"
	"sync/atomic"
)

// lanes number requests under way, the smallest free number first: what a history
// calls a client does one thing at a time. They are as many as words have bits;
// requests beyond share the last.
type lanes struct {
	taken  [32]atomic.Uint64
	active atomic.Int64
}

func (l *lanes) take() uint16 {
	l.active.Add(1)
	for i := range l.taken {
		for w := l.taken[i].Load(); ^w != 0; w = l.taken[i].Load() {
			bit := bits.TrailingZeros64(^w)
			if l.taken[i].CompareAndSwap(w, w|1<<bit) {
				return uint16(i*64 + bit)
			}
		}
	}
	return uint16(len(l.taken) * 64)
}

func (l *lanes) leave(lane uint16) {
	if i := int(lane / 64); i < len(l.taken) {
		l.taken[i].And(^(uint64(1) << (lane % 64)))
	}
	l.active.Add(-1)
}
