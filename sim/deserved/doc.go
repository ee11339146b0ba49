// Package deserved judges refusals: for each code of the contract it has a row that says what
// must be so for a daemon to answer it. A disk is called full only while it is short of room, a
// limit reached only while somebody holds what it counts, a transaction expired only after its
// deadline. A code without a row is one that the contract does not know.
//
// The other way round an answer is judged, too: what breaks a rule of the contract, or is past
// a limit, must not be accepted.
//
//   - rules.go states the rules of requests, as docs/CONTRACT.md has them. The daemon checks
//     them with code of its own, which is not used here.
//   - ledger.go keeps what each transaction holds, from what the daemon answered. Where an answer
//     leaves that open, it keeps a least and a most.
//   - table.go has the rows.
//
// A Judge sees each request when it reaches the daemon and when the daemon has answered it, and
// what the World knows of the time in between. CONFLICT, PRECONDITION_FAILED, TXN_ID_REUSED and
// VERSION_NOT_FOUND are about the state of records: the judges of package linearizability hold
// them to the log, and their rows here say only what the request must be like.
package deserved
