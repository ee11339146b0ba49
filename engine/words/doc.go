// Package words has the words that all rooms of the engine share: places in the order of commits, names, and
// the closed set of errors.
//
// A CommitTS is a place in the total order, a Version counts the writes of one key, a TxnID names a transaction. An
// AgentName and a RecordName say whose a record is and which; Normalize and the Check functions refuse what cannot be
// a name, so that a name which got past them fits into a key of the store.
//
// Every refusal and failure is a Failure: one of the Err values, a sentence for a person and details for a program. Failf
// makes one.
//
// Package engine has most of this under its own name, for its users. The rooms inside the engine import it from here, and
// it imports none of them.
package words
