// Package intent judges what clients' users were told. A history of the wire has the requests
// that a client made; it cannot say whether they were what its user asked for. A client that
// sends a commit again under a fresh id, drops a condition, passes over a page or an event, or
// runs a transaction twice makes other requests, each of them legal.
//
// A [Recorder] stands above the client and writes down its user's calls: a [Client] has the
// methods of client.Client, and each makes one operation of a history. [Judge] holds that
// history to the log of the run, with the judge that also judges the wire: whatever a history
// must be, one of intents must be, too.
//
// # A history of intents
//
// It is a history in the format of docs/HISTORY.md, whose header has "source":"intent". An
// operation is one call, whatever it took on the wire:
//
//   - transact: a batch, with its conditions as the user gave them. Tries are no operations.
//   - begin, write, delete, commit, abort and reads with a txn: calls on a transaction. Of a
//     function that is run in a transaction (RunTxn), each run is a transaction of its own, from
//     its begin to its commit: the commit of the last one has the outcome of the whole call. The
//     commit of one that was run again has the outcome fail, for nothing else permits that; one
//     whose function failed has no commit.
//     A begin of a transaction that its client holds has a timeout in place of a limit, and the
//     snapshot that its first read was answered at; 0, if it read nothing.
//   - list_keys, scan, history, agents, namespaces: the whole list, over all its pages. "more" says
//     that it ended at its limit, or where the user stopped: there may be more or not. read_ts
//     is left out where the user is not told it.
//   - replay, watch: every event that the user saw is a batch of its own, with the event's
//     commit_ts as its cursor; a mark is a batch without events. A stream is one operation
//     however often the client opened it again; a replay that came to its end is ok, one that
//     the user left is unknown.
//
// The outcome is what the user may conclude: fail, if the error says that nothing was applied
// (of a write into a transaction: if the daemon said so); unknown, if it says that something may
// have been.
//
// # The tag
//
// Each call that commits (transact, commit) adds an entry to the commit's metadata: the key
// "intent" ([Tag]), and a value that no other call has, such as "c1-12". It is in the operation's
// metadata and, through the client, in the log. The operation's txn is the tag of the call, or of
// the transaction's begin any name that no other has. A transact that its user sends again under
// the same id is another operation with another tag, and has the txn of the first. Judge names
// each commit of the log by the txn of the call whose tag it carries: what was committed under
// two ids is a transaction that is in the log twice, and what was acknowledged and is not there
// is lost. In events, entries of a key's history and get_transaction, txn is what the user saw:
// the id on the wire.
//
// Times are those of the wire's history: one clock for both.
//
// # Other languages
//
// Any client can write such a history: that of the Python SDK is python/tests/intents. What its
// users are told is less than what the Go client tells (no nanoseconds, nothing of a record that
// is absent): [Exact] adds what the log knows, and an absence without a commit that it was read at
// only has to be one.
package intent
