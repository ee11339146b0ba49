// Package web is the service over HTTP, for whoever does not speak gRPC: curl, a browser, a tool
// that knows OpenAPI.
//
//	guard.go     who may come in at all: the Host, the Origin, the type of a body
//	bodies.go    how large a body may be, how slow, and what all of them hold
//	rpc.go       every method: JSON, Connect and gRPC-Web, by vanguard's transcoder
//	exact.go     values in JSON, exactly; answering.go: a whole answer on its way out
//	failure.go   errors as JSON, with the status that fits
//	reads.go     reads as GET, with fields of the request in the query
//	events.go    watches and replays as server-sent events
//	inside.go    one call of a stream, for events.go
//	query.go     the fields of a request from a query
//	pages.go     the inspector at /ui/ (package ui), and sessions.go its key
//	front.go     the listeners, and how they end
//
// It answers nothing itself: each request becomes a gRPC request to server.Service.Handler, and
// passes the interceptors that every request passes. So there is no second rule for who may do
// what, for a limit, a capture or an error, and no second list of methods: they are those of the
// contract's descriptors.
//
// # What a page in a browser can do
//
// A daemon on loopback is in reach of every page that its user opens. Four rules keep them out,
// and each is enough against one way in:
//
//   - the Host must be loopback, or a name that was configured: a page that makes its own name
//     resolve to 127.0.0.1 (DNS rebinding) still names itself;
//   - a request with the Origin of somewhere else is refused, and so is one whose
//     Sec-Fetch-Site says that another site makes it;
//   - what can write is a POST whose body has a type that no form can send, so that a browser asks
//     first whether it may (CORS);
//   - and it is never told that it may: no answer has a header of CORS.
package web
