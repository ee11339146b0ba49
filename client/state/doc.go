// Package state is what a client of Statehouse knows of the store, as Go values: records and writes, commits, events,
// leases and points of the order. It makes no call, and turns these values into the contract's messages and back.
//
// Package client names its types as its own; a program imports that one.
//
//	types.go    the values
//	writes.go   writes and conditions as messages: the operations of a transaction
//	answers.go  messages as values: what came of a call, or came in a stream
package state
