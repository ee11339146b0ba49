// Package layout is what stands in the store: the keys, and the rows under them. It is bytes to values and back, and
// does no I/O; docs/FORMAT.md has the tables.
//
// A key begins with a tag that says what kind of row it is of, and goes on with names, each ended by a zero byte, and numbers
// in big-endian order (keys.go): so rows sort as their readers need them, an agent's together, the newest version of a record first.
// A row ends in a checksum over its key and itself. SealRow appends it, and OpenRow checks it on every read.
//
// The log is the truth of the store. A LogRow is a commit; it has the chain's hash and a digest of each agent's part.
// An EventRow is such a part: what was written, without values. A RecordRow is a version of a record, with its value. Everything
// that an erasure may take out stands beside a salt, and the digests cover it salted, so the chain still verifies when it is
// gone. An OutcomeRow answers a commit that is sent again. A Hold is what keeps a record until a deadline, and Lineage the epochs
// of the store.
//
// Rows end in optional fields (fields.go), which is how the format grows: a store lists what it uses beyond the
// format before a row has it. A Decoder accepts one encoding only of everything, for a second would have a second digest.
package layout
