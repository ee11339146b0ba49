//go:build !unix

package sim

import "time"

var began = time.Now()

// processorTime is how long this operating system process may have had the processor.
func processorTime() time.Duration { return time.Since(began) }
