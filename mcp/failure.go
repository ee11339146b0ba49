package mcp

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"statehouse.dev/statehouse/client"
)

// explain says of a failure what a model can do about it: what happened, what is there now, what next.
func (d *door) explain(ctx context.Context, err error) string {
	var e *client.Error
	var unknown *client.OutcomeUnknownError
	switch {
	case errors.As(err, &unknown):
		return fmt.Sprintf("%v. The commit may have been applied, or not. Send the same commit again with txn_id %s: it takes effect once, and the answer says what came of it.", err, quoted(unknown.TxnID))
	case !errors.As(err, &e):
		return err.Error() // of this package, which has said what to do
	}
	text := fmt.Sprintf("%s: %s.", e.Code, strings.TrimSuffix(e.Message, "."))
	if e.MaybeApplied {
		text += " An earlier try may still be applied: read what is there."
	}
	for _, a := range advice {
		if errors.Is(err, a.kind) {
			return text + " " + a.next + d.now(ctx, e)
		}
	}
	return text
}

// advice is what to do after a failure, by its kind.
var advice = []struct {
	kind error
	next string
}{
	{client.ErrPreconditionFailed, "Nothing was committed. Look at what is there now, decide again, and commit with the version or head that is current."},
	{client.ErrConflict, "Nothing was committed. Read again, decide again, and commit again."},
	{client.ErrEvaluation, "Nothing was committed. What is there does not allow it: read the record, and change what you ask for."},
	{client.ErrLeaseHeld, "Nothing was committed. Somebody else works on it: leave it to them, or try later."},
	{client.ErrLeaseLost, "Nothing was committed. Somebody else works on it: leave it to them, or try later."},
	{client.ErrTxnIDReused, "Nothing was committed. The txn_id belongs to another commit: leave it out."},
	{client.ErrTxnTooOld, "Nothing was committed. The txn_id is too old to be repeated: read what is there, and commit without it if it is still needed."},
	{client.ErrNotFound, "history lists the versions that there are."},
	{client.ErrOutOfRange, "That far back the past is not kept: ask for a later moment."},
	{client.ErrErased, "The value was erased for good, and cannot be read at any moment."},
	{client.ErrEpochChanged, "The store was restored from a backup: leave page and as_of out, and begin anew."},
	{client.ErrPermissionDenied, "The key that this server uses may not do it, and trying again does not help: tell your user."},
	{client.ErrUnauthenticated, "The daemon does not accept the key of this server: your user has to give it another one."},
	{client.ErrLimit, "Ask for less at once: a smaller value, fewer changes in a commit, a smaller limit."},
	{client.ErrOverloaded, "Nothing was applied. The daemon is busy: wait some seconds and try again."},
	{client.ErrDiskFull, "Reads go on; writes are refused until your user has made room on the daemon's disk."},
	{client.ErrTLS, "Your user has to set up how the daemon is reached."},
	{client.ErrUnavailable, "The daemon cannot be reached: try again, and if that fails again tell your user."},
	{client.ErrInvalid, "Nothing was done. Correct the arguments."},
	{client.ErrUnimplemented, "The daemon is older than this tool: do without it."},
	{client.ErrDataLoss, "The daemon's disk is damaged: tell your user."},
}

// now is what stands at the key that a failure names.
func (d *door) now(ctx context.Context, e *client.Error) string {
	agent, key, found := e.Details["agent_id"], e.Details["key"], e.Details["key"] != ""
	if !found || !errors.Is(e, client.ErrPreconditionFailed) && !errors.Is(e, client.ErrConflict) && !errors.Is(e, client.ErrEvaluation) {
		return ""
	}
	if d.Agent != "" && agent != d.Agent {
		return ""
	}
	var s screen
	for v, err := range d.in(e.Details["namespace"]).History(ctx, agent, key, client.HistoryQuery{Page: &client.Page{Size: 1}}) {
		if err != nil {
			return ""
		}
		text, err := encode(s.version(&v))
		if err != nil {
			return ""
		}
		return fmt.Sprintf("\nNow at key %s of agent %s: %s", quoted(key), quoted(agent), text)
	}
	return fmt.Sprintf("\nKey %s of agent %s was never written.", quoted(key), quoted(agent))
}
