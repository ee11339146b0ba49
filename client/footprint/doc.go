// Package footprint is what a transaction leaves behind that its client holds: the writes that it has
// staged (writes.go), and what it read at its snapshot (readset.go). From both follows the one request that
// commits it (footprint.go).
//
// The snapshot is that of the first read, whatever it reads. From then on what was read is
// taken down: of a record its version, also that it did not exist, and of a list the stretch of
// keys that it has shown, since a key that appears there is a change, too. The daemon commits
// what was written if none of that has changed since. What a transaction finds of its own
// writes is not taken down: nobody else can change it.
//
// A list shows what is stored with the transaction's own writes between and in place of it,
// which [Merge] puts in order.
//
// It makes no call, takes no lock and knows no error but a limit: package client asks the
// daemon, holds the lock, and says what a failure means.
package footprint
