// Package linearizability judges histories: what clients asked Statehouse and
// what they were told, against what it promises (docs/GUARANTEES.md).
//
// It stands alone. It knows nothing of the engine, of gRPC or of the simulator, so
// that a history from anywhere can be judged, and so that the judge shares no code
// with the judged.
//
//   - [History] is what is judged: operations of everybody who wrote, the log if there
//     is one, and notes of what happened beside them. [Reader] and [Writer] move it
//     as JSON lines.
//   - [Check] judges it: unknown outcomes are resolved from the log by transaction
//     id, then every answer is compared with an independent model in linear time,
//     then Porcupine has the last word, which does not trust the log.
//   - [Report] draws it, for a person.
package linearizability
