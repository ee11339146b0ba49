// Package session carries the unary calls of a connection over one stream of the contract's
// Session method, which costs a fraction of a call each.
//
// A [Conn] stands where a connection does: generated stubs call it, and so everything above
// it, retries and errors among it, is the same whether a request goes in a session or as a call of
// its own. Requests of all callers share one stream, are answered in any order, and are
// matched by their ids. When the stream breaks, each request that was handed to it fails as a
// call whose connection broke; what comes next opens another.
//
// A session is never needed. What cannot go in one is a call of its own: a method that a
// session does not carry, a request with headers of its own or of an unusual size, and
// everything to a daemon, or through a proxy, that does not know the method or has no room for
// another session.
//
// # Who does what
//
// A caller puts its request in the queue and sends what is there, unless another is
// sending already, which then takes the request with it (link.pump): a lone caller's
// request waits for no other goroutine, and those of many go many a message. Whoever calls must
// return when its context ends, so it sends only while SendMsg cannot wait: as long as little
// enough of the stream is not known to have arrived. Past that a goroutine of its own sends.
// One goroutine reads, and wakes each caller whose answer has come.
//
// How many requests and bytes are under way in a stream is bounded. Others wait in the
// queue, in order.
//
// No lock is held while anything is sent, received or waited for, and goroutines, waiting and
// time are values (Options): so a simulator can run it, one goroutine at a time.
package session
