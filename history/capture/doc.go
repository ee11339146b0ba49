// Package capture records what clients of a daemon ask and are told, and makes
// histories of it (package linearizability): enough to say later, elsewhere and
// without the daemon, whether a promise was broken, and to look for what broke it.
//
// A Recorder stands in front of a service as its outermost interceptor. It keeps
// each request with its answer, as the bytes that went over the wire, in a bounded
// ring of files; the oldest are dropped. It never blocks a request and never fails
// one: what it cannot keep up with is lost, and counted. What a process that is
// killed had not written is lost as well, at most FlushEvery of it. Both leave a
// gap in the history, which says so.
//
// Dump translates a ring into a history. The ring holds what the store beside it
// holds, whole; redaction is of what leaves the machine.
package capture
