package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/pflag"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/unsent"
	"statehouse.dev/statehouse/server/web"
)

// The limits together bound the daemon's memory (G9): each is a sum of bytes, or a
// number of things that take bytes, and what all of them come to must fit
// --memory-limit-mb. With a small one the limits that are not given shrink to fit.

const (
	mib           = 1 << 20
	leastMemoryMB = 320

	defaultRequestBytes = 128 * mib
	processBytes        = 64 * mib // the program, its goroutines and caches, what Pebble keeps of its tables
	captureBytes        = 32 * mib // of what is recorded and not written yet
	fixedMB             = (processBytes + engine.MemTablesBytes + captureBytes) / mib
	bytesPerRequest     = 16 << 10
	bytesPerStream      = 20 << 10 // beside what it has unsent; measured 17
	bytesPerConn        = 64 << 10 // measured 65 KB
	bytesPerVersion     = 400      // names of usual lengths, and two maps' entries
	defaultsMemoryMB    = 2048     // what the defaults of the flags are made for
)

// fit lowers the limits that were not given to what a small memory has room for. What
// is fixed does not shrink, so they do by the rest.
func (s *settings) fit(f *pflag.FlagSet) {
	if s.memoryLimitMB >= defaultsMemoryMB || s.memoryLimitMB < leastMemoryMB {
		return
	}
	left := func(memoryMB int64) int64 { // a tenth stays for garbage, a MiB for the fractions
		return memoryMB*9/10 - s.fixedMB() - requestBytesFor(memoryMB)*3/2/mib - 1 - int64(s.requests)*bytesPerRequest/mib
	}
	if !f.Changed("max-request-bytes") {
		s.requestBytes = requestBytesFor(s.memoryLimitMB)
	}
	part, whole := left(s.memoryLimitMB), left(defaultsMemoryMB)
	if part <= 0 || whole <= 0 {
		return // what was given leaves nothing: checkMemory says so
	}
	scale := func(name string, value int64) int64 {
		if f.Changed(name) {
			return value
		}
		return max(value*part/whole, 1)
	}
	l := &s.limits
	s.cacheMB = scale("cache-mb", s.cacheMB)
	s.unsentMB = scale("max-unsent-mb", s.unsentMB)
	s.connections = int(scale("max-connections", int64(s.connections)))
	l.StagedBytes = int(scale("max-staged-bytes", int64(l.StagedBytes)))
	l.CachedVersions = int(scale("cached-versions", int64(l.CachedVersions)))
	if !f.Changed("max-streams") {
		s.streams = min(s.streams, max(unsent.MostStreams(s.unsentMB*mib), 1))
	}
}

// caches divides --cache-mb: a quarter holds records, which are read with less work than
// blocks, and are fewer in it.
func (s *settings) caches() engine.Tuning {
	records := s.cacheMB * mib / 4
	return engine.Tuning{CacheBytes: s.cacheMB*mib - records, RecordBytes: int(records)}
}

// requestBytesFor is the default of what requests may hold while they arrive and are under
// way: a few of the largest at the least.
func requestBytesFor(memoryMB int64) int64 {
	return min(defaultRequestBytes, max(memoryMB*mib/16, 4*server.MaxAnswerBytes))
}

// share is what one limit comes to.
type share struct {
	flag  string
	bytes int64
}

func (s *settings) shares() []share {
	return []share{
		{"--cache-mb", s.cacheMB * mib},
		{"--max-staged-bytes", int64(s.limits.StagedBytes) * 3 / 2},
		{"--max-request-bytes", s.requestBytes * 3 / 2}, // half of it by those that are refused and not told so yet
		{"--max-unsent-mb", s.unsentMB * mib * 3 / 2},
		{"--max-connections", int64(s.connections) * bytesPerConn},
		{"--max-streams", int64(s.streams) * bytesPerStream},
		{"--max-requests", int64(s.requests) * bytesPerRequest},
		{"--cached-versions", int64(s.limits.CachedVersions) * bytesPerVersion},
		{"everything else", s.fixedMB() * mib},
	}
}

// fixedMB is what does not depend on a limit.
func (s *settings) fixedMB() int64 {
	if s.servesHTTP() {
		return fixedMB + web.MemoryBytes/mib
	}
	return fixedMB
}

// checkMemory refuses limits that come to more than the memory they are to keep within.
func (s *settings) checkMemory() error {
	if s.memoryLimitMB < leastMemoryMB {
		return fmt.Errorf("--memory-limit-mb must be at least %d, not %d", leastMemoryMB, s.memoryLimitMB)
	}
	for flag, mb := range map[string]int64{"cache-mb": s.cacheMB, "max-unsent-mb": s.unsentMB} { // any that is too large
		if mb > s.memoryLimitMB {
			return fmt.Errorf("--%s is %d, more than --memory-limit-mb, which is %d", flag, mb, s.memoryLimitMB)
		}
	}
	if most := unsent.MostStreams(s.unsentMB * mib); s.streams > most {
		return fmt.Errorf("--max-unsent-mb %d has room for %d streams, --max-streams is %d: raise the one or lower the other", s.unsentMB, most, s.streams)
	}
	sum, list := int64(0), []string{}
	for _, share := range s.shares() {
		sum += share.bytes
		list = append(list, fmt.Sprintf("%s %d MiB", share.flag, share.bytes/mib))
	}
	if sum > s.memoryLimitMB*mib {
		return fmt.Errorf("the limits come to %d MiB together, --memory-limit-mb is %d: lower some of them or raise it (%s)", sum/mib, s.memoryLimitMB, strings.Join(list, ", "))
	}
	return nil
}

// setMemory trades memory for fewer garbage collections: measured 1.4 times the
// requests. GOGC and GOMEMLIMIT in the environment win. The runtime does not see what
// Pebble allocates itself beside its cache and memtables, for the blocks that reads hold,
// and what neither of them gives back to the system at once.
func setMemory(s *settings) {
	if strings.TrimSpace(os.Getenv("GOGC")) == "" {
		debug.SetGCPercent(400)
	}
	if strings.TrimSpace(os.Getenv("GOMEMLIMIT")) == "" {
		debug.SetMemoryLimit((s.memoryLimitMB*mib - s.caches().CacheBytes - engine.MemTablesBytes) / 16 * 13)
	}
}
