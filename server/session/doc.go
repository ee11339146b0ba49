// Package session carries many requests over one stream: frames of requests one way,
// frames of answers the other. It holds what is between the stream and the service: the
// frames, which requests are under way and their contexts, how many there may be, and who
// sends the answers. It knows of no method; what a request means says its Method.
//
// # A session
//
// Serve reads frames until the stream ends. For each request there is one Request, which
// is the context that the Method gets: it ends with the deadline of the request, when its
// client cancels it, and with the session. The answer goes to a queue. Whoever finds no one
// sending takes all of the queue and sends it in frames, so that what is ready at the same
// time shares a frame, and needs no goroutine.
//
// A request is under way until its answer has been sent. When there are as many as may be,
// or they hold as many bytes, the session reads no further, and the stream's flow control
// stops its client. So a client that does not read its answers stalls its own session, and
// what a session can hold is bounded.
//
// Each request is answered once, a cancelled one too. A frame that cannot be read, and an id
// that is under way already, end the session with an error: after that no one knows which
// answer is whose.
//
// # How it ends
//
// When its client sends no more, what is under way is answered first. When it is to drain, so
// is what was under way then; requests that come later are marked (Late), for the
// Method to refuse them, and the session ends as soon as the others have their answers.
// When the stream breaks, what is under way is cancelled. Serve returns when no Method runs
// any more: nothing of a session outlives it, but commits that were begun.
//
// # A second driver
//
// The package starts no goroutine and sets no timer. Env says how: in production Workers,
// goroutines that are used again because their stacks have grown, and timers (env_os.go). A
// simulator gives an Env whose Go makes a coroutine of a Job, whose After notes a deadline
// that a step of the world passes, and whose Await yields; and a stream whose RecvMsg yields
// until a frame is delivered, and whose SendMsg notes one that is on its way. It can then
// run Serve itself as one more coroutine. Nothing here depends on which of several that can
// go on does, and Err of a Request needs no goroutine to have been told.
package session
