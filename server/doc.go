// Package server is Statehouse's gRPC service: it translates, validates, limits,
// authorises and maps errors, and leaves everything else to the engine.
//
// Assemble is the one way to build a running Statehouse. The daemon, the simulator and
// the tests all call it; what differs between them is the engine.Env that they hand in.
//
// # The path of a request
//
// From the network to the engine, each line the file or the package to read:
//
//	conns            a connection: how many there are, whose, and what the bodies
//	                 of its requests hold
//	receive.go       on the header: who asks, the limits, before a body is read
//	unsent           the outermost interceptor, which counts the answer on its way out
//	captures         the recorder, which sees what clients ask and are answered
//	interceptors.go  who asks and the limit again, a panic caught, room for the answer
//	routes.go        where it is answered, if the service is one of several; newest.go what a
//	                 read needs, forwarded.go the other end
//	access, gate     who asks, and whether that may: by the method and the names in it
//	admission        whose turn it is
//	wire             bytes to messages, values, times and conditions; structwire leaves
//	                 Structs as they are
//	answer           the handlers; page has the tokens of their lists
//	engine
//
// A request of a session (sessions.go, package session) joins the path at captures: its
// frame was let in as the message of a stream, and its answer is counted in the stream's
// share first.
//
// Back, wire turns the engine's errors into statuses, and unsent counts the answer
// until it is sent. methods.go says what each method passes on its way: which limiter,
// who may call it without a key, what its answer costs.
//
// A unary request passes the same interceptors in the simulator, which has a transport of
// its own and therefore neither conns nor unsent. Serve is the only place that starts
// goroutines for the service, which stands on engine.Env like the engine itself.
package server
