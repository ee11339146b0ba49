// Package capture records what clients of a daemon ask and what they are answered,
// and makes histories of it (package history): enough to decide later, elsewhere and
// without the daemon, whether a guarantee was broken, and to look for the cause.
//
// A Recorder is the outermost interceptor of a service (intercept.go). It appends
// each request with its answer, as the bytes that went over the wire, to a buffer in
// memory (pending.go), and Run, or whoever calls Flush instead, writes the buffer to a bounded
// ring of files (ring.go, frame.go) that drops its oldest part when it is full. The
// recorder never blocks a request and never fails one: what does not fit is lost, and
// counted. A process that is killed loses what it had not written, at most FlushEvery
// of it. Both leave a gap in the history, which says so.
//
// Dump makes a history of a ring (dump.go) in two passes over its files (tape.go). The
// first builds an index: which processes wrote, what is missing, how streams ended. The
// second translates frames into lines (translate.go), after the state that the first
// request met (state.go). The ring holds values and names as they are; a dump, which
// leaves the machine, is redacted.
//
// The package is production code and stands on a seam, Env: it reads no clock, opens no
// file, draws no random number and starts no goroutine in any other way.
package capture
