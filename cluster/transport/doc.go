// Package transport carries what the members of a cluster say to each other: raft's messages, and the calls of
// PeerService beside them.
//
// A member listens (serve.go), and has for each of the others three connections of its own (peer.go): one for
// votes and heartbeats, which must not wait behind others, one for appends, and one for calls. Raft repeats what
// is lost, so nothing here does: what finds no stream, or a queue that is full, is dropped and counted. Nobody who
// hands over a message waits for a peer.
//
// Every call says of which cluster it is, who calls whom, and in which version of the protocol (caller.go): a
// member of another cluster, or one whose address belongs to somebody else by now, is refused before it is heard.
// Beyond loopback both sides show certificates of one CA (tls.go).
package transport
