package capture

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
)

// maxPending bounds what waits to be written, in bytes: when the disk is slower
// than clients are, what does not fit is lost.
const maxPending = 16 << 20

// pending is the frames that wait to be written.
type pending struct {
	now      func() int64
	lostEver atomic.Uint64

	mu     sync.Mutex
	frames []byte // after chunkHeader bytes
	spare  []byte // the other buffer; nil while it is being written
	lost   loss
}

// loss is what did not fit, and when: from the first call to the last return.
type loss struct {
	n        uint64
	from, to int64
}

const pendingRoom = 1 << 18

func newPending(now func() int64) pending {
	return pending{now: now, frames: make([]byte, chunkHeader, pendingRoom), spare: make([]byte, chunkHeader, pendingRoom)}
}

// append adds a frame.
func (p *pending) append(k kind, body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.appendLocked(k, body)
}

func (p *pending) appendLocked(k kind, body []byte) bool {
	if len(p.frames)+len(body)+frameHeader > maxPending {
		return false
	}
	p.frames = appendFrame(p.frames, k, body)
	return true
}

// operation adds a frame whose body begins with fixed bytes. When it ends is
// written under the lock, so that whatever ended before a mark stands before it.
func (p *pending) operation(k kind, body []byte) {
	called := int64(binary.LittleEndian.Uint64(body[calledAt:]))
	p.mu.Lock()
	defer p.mu.Unlock()
	ended := p.now()
	binary.LittleEndian.PutUint64(body[endedAt:], uint64(ended))
	if !p.appendLocked(k, body) {
		p.loseLocked(loss{1, called, ended})
	}
}

func (p *pending) loseLocked(l loss) {
	p.lostEver.Add(l.n)
	p.lost = p.lost.with(l)
}

func (l loss) with(more loss) loss {
	if more.n == 0 {
		return l
	}
	if l.n == 0 || more.from < l.from {
		l.from = more.from
	}
	return loss{l.n + more.n, l.from, max(l.to, more.to)}
}

// take returns what waits as a chunk that ends in a mark of a kind; nil, when there is
// nothing to say: the next mark is as good.
func (p *pending) take(last kind, mark func() markBody) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.lost; l.n > 0 {
		p.frames = appendFrame(p.frames, kindLost, markBody{l.n, uint64(l.from), uint64(l.to)}.bytes())
		p.lost = loss{}
	}
	if len(p.frames) == chunkHeader && last == kindMark {
		return nil
	}
	chunk := appendFrame(p.frames, last, mark().bytes())
	p.frames, p.spare = p.spare[:chunkHeader], nil
	return chunk
}

// reuse takes a chunk's buffer back when it is written.
func (p *pending) reuse(chunk []byte) {
	if cap(chunk) > maxPending/4 {
		chunk = make([]byte, chunkHeader, pendingRoom)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spare = chunk[:chunkHeader]
}

// loseChunk counts the operations of a chunk that could not be written.
func (p *pending) loseChunk(chunk []byte) {
	l := lossOf(chunk[chunkHeader:])
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loseLocked(l)
}

// lossOf is what is lost with frames.
func lossOf(frames []byte) (l loss) {
	for len(frames) > 0 {
		k, body, rest, err := nextFrame(frames)
		if err != nil {
			break
		}
		frames = rest
		switch {
		case k.isOperation() && len(body) >= fixed:
			l = l.with(loss{1, int64(binary.LittleEndian.Uint64(body[calledAt:])), int64(binary.LittleEndian.Uint64(body[endedAt:]))})
		case k == kindLost && len(body) == markBytes:
			m := parseMark(body)
			l = l.with(loss{m[0], int64(m[1]), int64(m[2])})
		}
	}
	return l
}
