// Package member drives a member of a cluster in production: the goroutines round package node, which has none.
//
// One goroutine owns the node and its engine (Drive): it lets time pass, takes what peers have sent and what
// waits in the engine, does all there is to do, and hands what is to be sent to the transport. Everybody else asks
// it, and reads what it has last said of itself. When it cannot go on it halts, as the engine does: the daemon ends
// with 74.
//
// It is what the service asks where it is one of several (requests.go), and what answers the peers' calls
// (peers.go).
package member
