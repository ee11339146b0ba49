// Package structwire turns a google.protobuf.Struct, as its wire bytes, into JSON text and
// back, without the objects that protobuf would build of it: 1 MiB of a Struct would become
// 38 MB of live objects before a handler could refuse it.
//
//   - Requests: before protobuf unmarshals one, [Hide] renumbers its Struct fields, so that
//     their bytes are kept as unknown fields. [Wire] and [Text] find them there. [JSON] scans
//     and transcodes in one pass, and refuses what a value must not be.
//   - Answers: [Set] puts stored text into a message as the bytes of a Struct, which its client
//     parses as any other. A Struct has doubles only: [Inexact] says which numbers are not
//     carried exactly.
//
// JSON is read by hand here, and not by encoding/json or jsontext, because this is the path
// of every value that a Struct carries: both look at each token as an interface or a string,
// which costs more than all else that is done to a value (see BenchmarkAppend).
package structwire
