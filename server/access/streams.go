package access

import (
	"slices"
	"sync"
)

// streams are those that are open, each with what ends it.
type streams struct {
	mu   sync.Mutex
	last uint64
	list map[uint64]openStream
}

type openStream struct {
	caller *Caller
	end    func(error)
}

func (s *streams) init() { s.list = make(map[uint64]openStream) }

// Hold has end called when the caller is no longer let in. The returned function ends that.
func (c *Control) Hold(caller *Caller, end func(error)) (release func()) {
	s := &c.open
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	id := s.last
	s.list[id] = openStream{caller, end}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.list, id)
	}
}

// Tick does what depends on time. It is to be called a few times a second: streams of those who are
// no longer let in end within that.
func (c *Control) Tick() {
	for _, o := range c.open.all() {
		if err := c.Holds(o.caller); err != nil {
			o.end(err)
		}
	}
}

// all lists the streams in the order in which they were opened.
func (s *streams) all() []openStream {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]uint64, 0, len(s.list))
	for id := range s.list { // the order is made below
		ids = append(ids, id)
	}
	slices.Sort(ids)
	list := make([]openStream, len(ids))
	for i, id := range ids {
		list[i] = s.list[id]
	}
	return list
}
