package engine

import "sync/atomic"

// cache is a bounded map that forgets entries not used for a while. It has two
// generations and drops the older one whole when the younger is full. An entry
// survives at least limit further insertions: the planner relies on that for
// commits that it has planned and not applied yet.
type cache[K comparable, V any] struct {
	young, old map[K]V
	limit      int
	turned     *atomic.Uint64 // generations dropped
}

func newCache[K comparable, V any](limit int, turned *atomic.Uint64) *cache[K, V] {
	return &cache[K, V]{young: make(map[K]V), limit: max(limit, 1), turned: turned}
}

func (c *cache[K, V]) get(k K) (V, bool) {
	if v, ok := c.young[k]; ok {
		return v, true
	}
	v, ok := c.old[k]
	if ok {
		c.put(k, v)
	}
	return v, ok
}

func (c *cache[K, V]) put(k K, v V) {
	c.young[k] = v
	if len(c.young) >= c.limit {
		if len(c.old) > 0 {
			c.turned.Add(1)
		}
		c.old, c.young = c.young, make(map[K]V, c.limit)
	}
}

// drop forgets k.
func (c *cache[K, V]) drop(k K) {
	delete(c.young, k)
	delete(c.old, k)
}
