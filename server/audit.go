package server

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/server/wire"
)

// The audit log is a part of the store, so only the member that leads writes to it. What an operator does to another
// member by itself, and whom that refuses, is written down by the leader, which is asked as it is for a client's
// request, by a name that is no method's.

// Auditing is what stands in place of a method.
const Auditing = "audit"

// audited is the request: an act, or refusals.
type audited struct {
	Action   string            `json:"action,omitempty"`
	Details  map[string]string `json:"details,omitempty"`
	Refusals []access.Entry    `json:"refusals,omitempty"`
}

// memberDetail says in an entry of which member it speaks.
const memberDetail = "member"

// record writes an act to the audit log before it is done, here or at the member that leads. One that changes this
// member alone says which it is.
func (s *Service) record(ctx context.Context, method, action string, details map[string]string) error {
	if r := routes[method]; r == ofItself || r == reads {
		details[memberDetail] = strconv.FormatUint(s.config.Cluster.Status().ID, 10)
		if !s.config.Cluster.Leader().Here {
			return s.recordAtLeader(ctx, &audited{Action: action, Details: details}, access.CallerOf(ctx))
		}
	}
	return s.access.Act(ctx, action, details, nil)
}

// recordAtLeader has it done there. Refusals are asked for by nobody.
func (s *Service) recordAtLeader(ctx context.Context, a *audited, caller *access.Caller) error {
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	f := &Forwarded{Method: Auditing, Request: body}
	if caller != nil {
		f.Caller = caller.Vouch()
	}
	answer, err := s.config.Cluster.Forward(ctx, f)
	switch {
	case err == nil && len(answer.Status) > 0:
		return statusFrom(answer.Status)
	case err == nil || errors.Is(err, engine.ErrNotLeader):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return status.Error(codes.Unavailable, "the member that leads was asked to write down what is to be done, and its answer is lost: nothing was done: "+err.Error())
}

// recordFor is recordAtLeader's other end.
func (s *Service) recordFor(ctx context.Context, request []byte) error {
	var a audited
	if err := json.Unmarshal(request, &a); err != nil {
		return status.Error(codes.InvalidArgument, "what is to be written to the audit log is malformed: "+err.Error())
	}
	if !s.config.Cluster.Leader().Here {
		return wire.Fail(engine.ErrNotLeader, "the member that was taken for the leader is none any more; nothing was written down")
	}
	switch {
	case len(a.Refusals) > 0:
		return s.access.WriteRefusals(ctx, a.Refusals)
	case access.CallerOf(ctx) == nil:
		return status.Error(codes.InvalidArgument, "it is not said who asks for what is to be written to the audit log")
	}
	return s.access.Act(ctx, a.Action, a.Details, nil)
}

// writesAudit reports whether this daemon writes the audit log itself.
func (s *Service) writesAudit() bool {
	return s.config.Cluster == nil || s.config.Cluster.Leader().Here
}

// passRefusals has the member that leads write down whom this one has refused; with all, those of this minute, too.
func (s *Service) passRefusals(ctx context.Context, all bool) {
	if s.writesAudit() {
		return
	}
	entries := s.access.TakeRefusals(all)
	if len(entries) == 0 {
		return
	}
	for i := range entries {
		if entries[i].Details == nil {
			entries[i].Details = make(map[string]string)
		}
		entries[i].Details[memberDetail] = strconv.FormatUint(s.config.Cluster.Status().ID, 10)
	}
	if err := s.recordAtLeader(ctx, &audited{Refusals: entries}, nil); err != nil {
		s.env.Log("refusals are not in the audit log", "kinds", len(entries), "reason", err.Error())
	}
}
