package capture

import (
	"context"
	"time"
)

// Run writes what was recorded every FlushEvery, until ctx ends. It is the goroutine of
// a recorder in production; what calls Flush itself needs none.
func (r *Recorder) Run(ctx context.Context) {
	tick := time.NewTicker(FlushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.Flush()
		case <-ctx.Done():
			return
		}
	}
}
