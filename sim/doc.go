// Package sim is a simulated world: a machine with a daemon on it, its disk, its clock, and
// the network between the daemon and its clients. The daemon is the production code, built
// by the one function that builds it in production (server.Assemble). Everything that it
// may ask of the outside is simulated: the file system, the clock, randomness, waiting, and
// the end of the process.
//
// # The life of a run
//
// NewWorld makes a machine with an empty disk. From then on nothing happens but by Apply,
// which does one Step. Where the steps come from is no concern of a world: a scenario reads
// them from a file (sim/scenario), a driver draws them from a seed (sim/fuzz), captured
// histories are made into them (sim/repro). Finish ends the run: it heals every fault, cuts
// the power once more, starts the daemon, reads everything the way a client would, verifies
// the store offline, and gives the history to the judges of package linearizability.
//
// What clients asked and were told is recorded as a history. Whatever a judge finds, and
// whatever the world itself has seen (a daemon that does not start, a request that is never
// answered, a panic), are the violations in the Result.
//
// # What a step is
//
// A step (sim/step) is a value with a line of text: a client sends a request; the network
// delivers it, loses it or doubles it; the writer plans what waits for it, or settles it;
// the daemon starts, stops or is killed; the power fails; time passes; a fault is armed; a
// file is corrupted. A step that does not fit the world does nothing and is not recorded
// (ErrMisfit): so a run that lost half of its steps is still a run, which is what shrinking
// rests on. The steps of a run, applied to a new world of the same seed and Config, give
// the same run.
//
// # Several nodes
//
// A world may have several machines whose daemons keep one store (Config.Nodes). Each is a node (node.go); what
// happens is about one of them at a time. What they send each other is in package peers, what drives a member in
// production is steps here (member.go), what the service asks of its member is membership.go, requests that are handed
// on are handed.go, the end is memberend.go, what a driver sees memberview.go.
//
// # How determinism is kept
//
//   - All randomness follows from the seed, through a stream of its own for each use
//     (simdisk.Stream). A world draws only ids; its disk draws what a crash leaves.
//   - Time is simulated. A step takes a millisecond, and waiting takes none.
//   - Clients and handlers of requests are coroutines: one runs at a time, until it waits
//     (sim/sched). A request can wait at one place only, Env.Await.
//   - What Pebble does on goroutines of its own waits at a barrier until a step lets it
//     pass, and a step ends when all of them are quiescent (background.go). This takes one
//     processor: GOMAXPROCS(1).
//   - Transactions have names (t1, t2, …); ids on the wire differ from run to run.
//   - After every step a digest of all that has happened is kept (Result.Digests). Tests
//     compare those of two runs, one of them disturbed (Options.Disturb).
//
// # Where faults strike
//
// On the network a fault is a step that is applied: drop, dup, lose, timeout. What is under way in
// a session arrives in order and is lost with all the rest of it; the client's multiplexer
// (client/session) runs as coroutines that several programs share. On the disk it
// is armed by a step and strikes later, inside the operation that it names: simdisk carries
// it out and calls the hooks that World.attach gave it. A loss of power inside an operation
// is one of these hooks: it takes the image of what the disk would keep and marks the
// process dead; what the process still does after that has no effect. When the step is done,
// reap buries it, and the next process starts on the image. Files are corrupted while no
// daemon runs, and from then on the store is only read: no judge could tell corruption from
// what a daemon wrote later.
//
// # What run -v prints
//
// "statehouse-sim run -v" prints the trace of a run, a line for each step and under it what
// came of it:
//
//	    2  coder #1 transact t1 put coder/task {"step":1} => ts=1
//	       deliver #1
//	       plan
//	       settle
//	         daemon settle: published 1
//	       reply #1
//	         #1 of coder: ts=1 coder/task@1
//
//	number, step           a step of the scenario, by its place in it; => is what is expected
//	step without a number  made up from a seed, or done to carry a call through to its end
//	#1 of coder: …         what the client of call #1 was told: ts=3 is commit 3; k@2 version 2
//	                       of a key; a value, v=2 at ts 3 its version and commit; events=1,2,
//	                       up to 2 a message of a stream and its cursor; CODE (fail): … a
//	                       refusal, which is definite; code (unknown): … an error after which
//	                       the request may or may not have had its effect
//	daemon …               start: published N (the newest commit that readers see); settle,
//	                       the same; refused: why it does not start; died: of what
//	disk …                 fault: one struck, and in which operation; rot, truncate, remove:
//	                       the file that was corrupted, and where
//	via=s1                 the call goes in a session: deliver and reply bring all that is under
//	                       way there before it, too, and drop and lose break it
//	network …              request lost, answer lost, stream cut, client gave up, forged,
//	                       session broken
//	clock jump: …          by how much the wall clock was set
//	log: …                 a line of the daemon's own log
//	does not fit, not run  of a scenario that ends early, the step that did not fit, and those
//	                       after it
//	the end: …             from here on everything is checked; observer is the client that reads
//
// # The parts of a world
//
// World composes them, each in its own file: node.go a machine and what is on it, machine.go the disk and what befell it,
// process.go the daemon from its start to its death, lifecycle.go its beginnings and ends,
// serve.go its side of a call, writer.go its loops, background.go what Pebble does beside
// them, network.go and call.go requests under way, session.go and clientend.go those in
// sessions, conn.go and program.go clients, wire.go
// and structs.go what calls send, status.go who sends them, spelling.go how values are spelled,
// ring.go where the daemon captures, names.go the names of transactions, faults.go what is armed, recorder.go history, trace and
// digests. end.go is the audit that ends every run.
package sim
