// Package linearizability judges histories (package history) against what Statehouse
// guarantees (docs/GUARANTEES.md).
//
//   - [Check] has two judges look, which share no rule: oracle resolves unknown outcomes from
//     the log and compares every answer with a model folded from it; serial has Porcupine
//     search for an order of what clients were told, and does not trust the log. Each can be
//     switched off, to learn what the other sees alone ("statehouse-sim prove" does).
//   - [CheckLong] does the same for a history that is longer than memory: section by section, each
//     an ordinary history that begins in the middle (long.go, section.go) and meets the running
//     state (running.go), with finished transactions (finished.go) and streams (streams.go)
//     remembered from one section to the next.
//   - [Timeline] and [Report] show a verdict to a person, in a terminal and as a page.
//
// It knows nothing of the engine, of gRPC or of the simulator, so that a history from anywhere
// can be judged, and so that the judges share no code with the judged.
package linearizability
