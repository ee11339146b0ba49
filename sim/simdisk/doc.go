// Package simdisk is the disk of the simulated world: a vfs.FS in memory that
// loses, tears, reorders and corrupts what the rules of real disks allow it to.
//
// A [Disk] remembers what has been made durable.
//
//   - Every file has live content (what reads see) and synced content (what a
//     crash must leave). A sync makes the second equal to the first.
//   - Every change to a directory (create, remove, rename, link, mkdir) goes to a
//     journal, and becomes durable when that directory is synced.
//   - [Disk.Crash] cuts the power and returns the disk as the next process finds
//     it. Synced content is always there. Unsynced content is decided sector by
//     sector (512 bytes), unsynced directory changes survive as a prefix.
//   - [Disk.Kill] ends the process only: all of it is there, durable or pending.
//   - A [Fault] makes the disk fail: at an operation named by file class, kind
//     and per-file count, so that the same fault hits the same operation however
//     the operations on other files interleave with it.
//   - FlipBit, Truncate and RemoveFile corrupt the medium at rest.
//
// [Disk.Digest] and [Disk.OpDigest] tell whether two runs agree. Images share the
// bytes that neither has changed, so taking one costs little.
//
// A disk reads no clock, starts no goroutine and draws no randomness but what
// follows from its seed, the path of a file and a count kept for that path: of the
// operations there or, for what a crash leaves, of the files created there.
// It never depends on the order in which a map is ranged over.
package simdisk
