// Package unsent counts every byte that waits to be sent, and paces who makes more (G9).
// The network takes an answer when its client reads, which may be never; gRPC keeps any
// amount of them.
//
// A Budget wraps the listener, so that it knows every connection (conn.go), and is the
// outermost interceptor of requests (call.go) and of streams (stream.go). A message is
// marshalled here rather than by gRPC, and a reservation of its connection counts its
// bytes (reservation.go) until gRPC gives the buffer back, because it is sent or its stream
// is gone (buffer.go), or until the connection ends.
//
// What the handlers must do is little. An answer asks for room before it is made
// (Call.Admit) and is counted when its size is known (Call.Count); past the budget it is
// refused by name, pages first. A stream waits until its client has read (Stream.Ready)
// and reads no more at a time than its share, so that a client that does not read costs a
// cursor; what is larger than a share asks for room as answers do (Stream.Admit). When
// there is no room, connections that have not read for long are closed to make some.
//
// Both also take their turn for the memory in which messages are made (limiter.Semaphore),
// which depends on no client.
package unsent
