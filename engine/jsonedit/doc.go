// Package jsonedit changes JSON text and keeps what it does not change, byte for byte: spellings
// of numbers, escapes, the order of members. It builds no tree, since a document of 1 MiB would
// become tens of MiB of small objects, and its callers hold up everyone else meanwhile.
//
//   - A [Pointer] (RFC 6901) finds a value in a document.
//   - A [Number] is exact: sums and comparisons are those of the decimals that are spelled, never
//     of floating-point numbers near them.
//   - [Add] adds to the number at a pointer.
//   - [Merge] applies a merge patch (RFC 7396).
//
// Documents are JSON text (RFC 8259) that has been checked: valid, in UTF-8, without white
// space between tokens, with no member twice in an object. What is returned is so, too.
package jsonedit
