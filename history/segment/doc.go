// Package segment reads and writes segments, of which backups and archives are made. A segment is a
// sealed stretch of a store's log: the rows that the commits after one and up to another made, as
// they are stored, after the rows of the system as of then.
//
// A backup is a row of segments, each beginning where the one before ends. What ties them together is
// the log's hash chain: a header says the hash at both ends. So a segment can take the place of
// another one of the same commits, and of no other.
//
// A segment describes itself, and says where it ends: segments may stand in files of their own or
// one after the other in one stream. It is written from beginning to end, and whole only with its
// seal, the SHA-256 of all that stands before: what was interrupted is never taken for whole.
// docs/FORMAT.md has the bytes.
//
// The package knows nothing of what stands in a row.
package segment
