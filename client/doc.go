// Package client talks to a Statehouse daemon: durable, versioned, replayable
// state for agents.
//
// # Records
//
// A record is named by a namespace, an agent and a key. Its value is a JSON
// object, handed over as the text that it is (json.RawMessage): numbers come back
// with the digits they were written with. Every write or delete of a key raises
// its [Version] by one, and every commit has a place in one total order, its
// [CommitTS]. Reads can be taken now, or at any earlier place or time:
//
//	rec, err := c.Get(ctx, "planner", "goal")                         // now
//	rec, err := c.Get(ctx, "planner", "goal", client.AtCommit(12))    // after commit 12
//	rec, err := c.GetAtVersion(ctx, "planner", "goal", 3)             // version 3
//
// A record that does not exist is no error: Record.Exists is false.
//
// A Client works in one namespace, "default" unless configured; [Client.In] gives
// one for another namespace on the same connection. A Client may be used by many
// goroutines at once.
//
// # Writing
//
// [Client.Transact] commits writes, deletes and preconditions in one round trip:
// all of them or none. [Client.RunTxn] runs a function in a transaction that reads
// a snapshot, and runs it again when something it read was changed meanwhile.
// [Client.Begin] gives the same transaction for use by hand.
//
// A transaction is held in the client. Its writes cost nothing until the commit, which is one
// round trip and says what was read, for the daemon to validate; one that only read makes
// none. Its snapshot is that of its first read. It outlives a restart of the daemon, and can be
// as large as one request. [Client.BeginHeld] gives one that the daemon holds, as a daemon
// older than this client holds all of them: its snapshot is of its begin, each write is a round
// trip, and if the answer to one is lost it cannot be committed.
//
// # When a call fails
//
// Errors are [*Error] values of one closed set; match them with errors.Is
// ([ErrConflict], [ErrPreconditionFailed], …). All but one are definite: nothing was
// applied. The exception is [*OutcomeUnknownError], which only commits return.
//
// If the answer to a commit is lost, the client sends the commit again under the same
// transaction id until the context ends. The daemon applies it once and gives the same
// answer each time. Only when the context ends is the outcome unknown: keep the id in the
// error, and ask [Client.GetTransaction] or send the same batch again. If the daemon
// refuses a repeated try while an earlier, unanswered one may still be applied, the error
// says MaybeApplied.
//
// Reads are repeated while the daemon cannot be reached. With Config.FailFast a call that
// was certainly not sent fails at once.
//
// # Sessions
//
// Calls of a client from [Dial] share one stream to the daemon (package session), which costs a
// fraction of what calls of gRPC's own do. Nothing else is different: a call has its own
// deadline, errors and repeats, and when the stream breaks, each call that was under way in it is
// one whose connection broke. Replay, Watch, Health and Version are calls of their own, and so is
// everything to a daemon that does not know sessions, on a connection that is not gRPC's own
// ([New]), of a context with outgoing metadata, and with Config.Unary.
//
// # Lists, replay and watch
//
// Anything that can be long is an iterator that fetches as it goes:
//
//	for rec, err := range c.Scan(ctx, "planner", client.ListQuery{Prefix: "note/"}) {
//		if err != nil {
//			return err
//		}
//		…
//	}
//
// An error is the last thing that an iterator yields. All pages of a list show one place
// of the order. [Client.Replay] yields past commits in order, and [Client.Watch] goes on
// with new ones. When a stream breaks, both open it again after the last event, so no
// event is missing and none comes twice.
package client
