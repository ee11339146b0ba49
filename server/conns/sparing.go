package conns

import (
	"sync"
	"time"
)

// Sparing is log, but for an event that was logged less than a second ago: the next
// line of its kind says how many were left out. What strangers can cause must not
// fill a log.
func Sparing(log func(event string, attrs ...any)) func(event string, attrs ...any) {
	type past struct {
		at      time.Time
		leftOut int
	}
	var mu sync.Mutex
	seen := make(map[string]past)
	return func(event string, attrs ...any) {
		mu.Lock()
		p, now := seen[event], time.Now()
		if now.Sub(p.at) < time.Second {
			p.leftOut++
			seen[event] = p
			mu.Unlock()
			return
		}
		seen[event] = past{at: now}
		mu.Unlock()
		if p.leftOut > 0 {
			attrs = append(attrs, "left_out_before", p.leftOut)
		}
		log(event, attrs...)
	}
}
