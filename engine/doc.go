// Package engine is the state machine of Statehouse over one Pebble store: records with
// versions, transactions, a log of commits, and reads at any point of it. It knows nothing
// of the wire (package server translates), starts no goroutine and asks the outside world
// for nothing but what [Env] offers.
//
//	env, closeEnv := engine.OSEnv(halt, log)
//	e, err := engine.Open(env, engine.Options{Dir: "data"})
//	go e.Run(ctx)
//	r, err := e.Transact(ctx, id, writes, engine.Conditions{})
//
// # The life of a commit
//
// There is one writer. It works in steps, and a step has three parts: [Engine.Plan],
// [Engine.Apply] and [Engine.Settle]. Run calls them in production; the simulator calls them
// itself and looks at what can be seen in between.
//
//  1. Validated, on the goroutine of the request: [Engine.Transact] or [Engine.Commit]
//     (commit.go) checks names, values and limits, and newProposal (proposal.go) sorts and
//     hashes, so that the writer does neither.
//  2. Queued: submit (queue.go) appends the proposal to a bounded queue, and the request
//     waits in Env.Await.
//  3. Planned: Plan takes what waits and decides each proposal in turn against the state
//     that the ones before it leave (planOne in step.go, planner.plan in plan.go). An
//     accepted one gets its commit_ts, commit_time and versions. compose (step.go) makes one
//     batch of the step's commits (batch.go): the step is a value, a [Step].
//  4. Written: Apply (step.go) gives the batch to Pebble and asks for one sync. Pebble shows
//     the rows from here on; our readers do not.
//  5. Durable: makeDurable (step.go), called by Settle, waits for the sync to end and then
//     writes the witness (witness.go). If either fails the engine halts.
//  6. Published: publish (step.go) moves the last commit that readers may see, and wakes
//     watches.
//  7. Answered: answerAll (queue.go) answers every proposal of the step, refusals included:
//     a refusal is about planned state, which a crash could take back before 5.
//
// What a client is told depends on how far its commit came:
//
//   - A request that is refused in 1 or 2 is answered at once. Nothing of it was applied;
//     if another copy of it is undecided or committed, the refusal is marked as in doubt
//     ([Engine.Refused]).
//   - A commit or refusal of 3 is answered in 7. The answer is definite, unless it is a
//     refusal and another copy is still undecided.
//   - A request whose context ends after 2 gets [ErrOutcomeUnknown], and so does every
//     request of a step whose sync failed. Sent again under its id, a commit is answered
//     from the outcome row, which is part of its batch, also after a restart.
//
// # Reading
//
// Every row carries the commit_ts that wrote it, so a [Snapshot] is a number: a read takes
// the newest version that is not past it (read.go, scan.go). It holds nothing open and takes
// no lock for longer than a look-up in memory: hot.go has the newest published version of
// records that were read or written lately. A transaction reads at its snapshot under its own writes (txnread.go); what
// it read is kept in the transaction table (txn.go) and must still hold when it is planned.
// Replay and watch walk the log (replay.go, watch.go).
//
// # System rows
//
// What the daemon keeps about itself (access keys, the audit log, retention) stands in rows that
// no commit makes: [Engine.PutSystem], [Engine.UpdateSystem] (system.go). They go through the same
// steps: decided by the writer in turn, in the step's batch, answered when it is durable, and
// not read before that.
//
// # More than one machine
//
// A [Step] applies to any store that is where this one was. One machine leads, the others adopt what it
// planned: [Engine.Lead], [Engine.Follow], [Engine.Drop] (follow.go), [Engine.Adopt] (adopt.go). Who leads,
// and which steps are applied, is decided elsewhere.
//
// # Invariants
//
// An assertion that fails panics, in production, too, and guardedStep (loop.go) halts: going
// on would put wrong state on disk.
//
//   - published <= durable <= planned. Asserted in publish (step.go). Besides, only publishAdopted (adopt.go)
//     moves published, where nothing is planned.
//   - At most one step is in flight, and what is settled is applied. Asserted in Plan, Apply and
//     Settle.
//   - commit_ts is dense and commit_time never falls: both are given out in accept (plan.go)
//     only. Held against the store by checkDense when it is opened (inspect.go) and for the
//     whole log by [Verify].
//   - Versions of a key are 1, 2, 3…, given out in accept. A gap that a read meets is
//     reported as corruption (search in read.go, [Snapshot.History]).
//   - What hot.go has of a record is the newest version published to it, when publish moves
//     the mark. Asserted where a version is put there after or beside another.
//   - A row is written once (docs/FORMAT.md names the exceptions) and sealed with a
//     checksum over its key and body. layout.OpenRow checks it on every read.
//   - The hash chain covers names, values and metadata by digests with a salt each, and nothing
//     else of them (layout/log.go): what goes with its salt is gone, and the chain still verifies.
//   - The witness names no commit that is not durable, except with Options.NoSync: makeDurable
//     writes it after the sync. It is held against the log by evidence.check (evidence.go)
//     when the store is opened.
//   - From startCommit on (txn.go) only the writer ends a transaction.
//   - The planner's caches run ahead of the store and are never rolled back: a step that
//     cannot be made durable halts the engine.
//
// # Guarantees
//
// docs/GUARANTEES.md states them in full, with the tests that hold them. Here is where the
// code holds each:
//
//   - G1 Durable: makeDurable (step.go) comes before every answer of a step.
//   - G2 Atomic: a commit is in one batch (appendCommit in batch.go).
//   - G3 Strictly serializable: checkReads and checkConditions (plan.go), ranges.go.
//   - G4 No ghosts: every read is bounded by [Engine.Published]; publish follows durability.
//   - G5 Replay is the truth: events and records go into the same batch (batch.go);
//     replay.go resumes after a cursor; verify.go folds the log and compares.
//   - G6 Exactly once: planOne (step.go) looks for an outcome before it decides; outcome.go
//     keeps outcomes, fingerprint.go says what the same request is, queue.go lets no refusal
//     stand in the place of an outcome.
//   - G7 Fail-stop: guard.go halts on the first failed write that Pebble could get past,
//     place.go when the directory is not where it was opened, [Engine.Settle] on a failed sync.
//   - G8 Detected or harmless: layout.OpenRow, blocks.go, inspect.go, evidence.go, owner.go, and
//     checkFeatures (features.go) for what a later build has written;
//     noteCorruption (engine.go) refuses writes afterwards.
//   - G9 Bounded: limits.go, the queue's bounds (queue.go), free space (disk.go), [Chunk] and
//     [Page].
//   - G10 Isolated: layout/keys.go, whose names are self-delimiting.
//
// # Inner wall
//
// The files that decide import nothing that can do I/O, and house_test.go lists them: types,
// limits, keys, rows and their encodings (package layout), values (package jsonform), proposals, planning and the transaction
// table. plan.go reads the state through an interface (stateReader), so a commit is a pure
// function of the state, the proposal and the time that is handed in. The others live with
// Pebble and the disk.
//
// # The seam
//
// [Env] is everything that the engine and the server may ask of the outside world: file
// system, clock, randomness, waiting, halting. [OSEnv] fills it from the operating system,
// the simulator from its world (sim/simdisk is the disk). Nothing below it can tell which.
package engine
