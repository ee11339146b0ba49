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
// A record that does not exist is no error: Record.Exists tells.
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
// # What may have happened when a call failed
//
// Errors are [*Error] values of one closed set; match them with errors.Is
// ([ErrConflict], [ErrPreconditionFailed], …). All but one are definite: nothing
// was applied. The one is [*OutcomeUnknownError], which only commits give.
//
// A commit whose answer is lost is sent again under the same transaction id, with
// which the daemon applies it once and answers what it answered the first time,
// until the context ends. Only then is the outcome unknown: keep the id of the
// error, and ask [Client.GetTransaction] or send the same batch again. Should the
// daemon refuse a repeated try for a reason that an earlier, unanswered try may
// still outrun, the error says MaybeApplied.
//
// Reads are sent again while the daemon cannot be reached. With Config.FailFast a
// call that was certainly not sent fails at once instead.
//
// # Lists, replay and watch
//
// Whatever can be long is an iterator that fetches as it goes:
//
//	for rec, err := range c.Scan(ctx, "planner", client.ListQuery{Prefix: "note/"}) {
//		if err != nil {
//			return err
//		}
//		…
//	}
//
// An error is the last thing an iterator yields. All pages of a list show one
// place of the order. [Client.Replay] yields the commits of the past in order, and
// [Client.Watch] goes on with those to come; both open their stream again behind
// the last event when it breaks, so nothing is missed and nothing comes twice.
package client
