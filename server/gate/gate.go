// Package gate lets requests in. It finds who asks (package access), and decides by a table of rules
// what a request needs: which permission, on which of the namespaces that it names (rules.go). It also
// keeps transactions to those who began them, takes out of answers what their caller may not read, and
// writes what operators do to the audit log before it is done.
//
// Every request passes it, in this order: Identify on its header; Permit when its message is there;
// Answerable for its answer. Requests of a session pass Identify again, each, which then only asks
// whether the caller of the session is still let in.
package gate

import (
	"context"
	"errors"
	"maps"
	"path"
	"strings"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
)

// Gate is where requests are let in. All fields must be set, but those of which nil is said to mean something.
type Gate struct {
	Access *access.Control
	Engine *engine.Engine
	// Subject is whose client certificate a request's connection has, and when that ends; nil:
	// connections have none.
	Subject func(ctx context.Context) (name string, until time.Time)
	// Newest waits until all changes of keys are here that were answered anywhere; nil: all are always.
	Newest func(context.Context) error
	// Record writes an act to the audit log, in place of Access; nil: Access does.
	Record func(ctx context.Context, method, action string, details map[string]string) error
	// Note logs what strangers can cause.
	Note func(event string, attrs ...any)
}

// anybody is what answers without anything shown: a supervisor's probe has no token, and learns no
// more than that the daemon is well.
var anybody = map[string]bool{
	healthpb.Health_Check_FullMethodName: true,
	healthpb.Health_Watch_FullMethodName: true,
}

// Anybody reports whether a method is for anybody.
func Anybody(method string) bool { return anybody[method] }

// Identify finds who asks, once for a request or stream, and whether that is still let in. It returns
// the context in which the caller is known, and what that may do.
func (g *Gate) Identify(ctx context.Context, method string) (context.Context, access.Grant, error) {
	if anybody[method] {
		return ctx, nil, nil
	}
	caller := access.CallerOf(ctx)
	if caller == nil {
		var err error
		caller, err = g.Access.Identify(g.shown(ctx))
		if err != nil && g.Newest != nil {
			// It may show a key that was made a moment ago, by another daemon.
			if failed := g.Newest(ctx); failed != nil {
				return ctx, nil, failed
			}
			caller, err = g.Access.Identify(g.shown(ctx))
		}
		if err != nil {
			return ctx, nil, g.deny(ctx, method, err)
		}
		ctx = access.WithCaller(ctx, caller)
	}
	grant, err := g.Access.Valid(caller)
	if err != nil {
		return ctx, nil, g.deny(ctx, method, err)
	}
	return ctx, grant, nil
}

// shown is what a request shows of who asks.
func (g *Gate) shown(ctx context.Context) access.Shown {
	var shown access.Shown
	if g.Access.Closed() {
		shown.Authorization = metadata.ValueFromIncomingContext(ctx, "authorization")
	}
	if g.Subject != nil {
		shown.Subject, shown.SubjectUntil = g.Subject(ctx)
	}
	return shown
}

// deny is err, which refuses a request for who asks: the operator hears of it.
func (g *Gate) deny(ctx context.Context, method string, err error) error {
	from := "unknown"
	if p, known := peer.FromContext(ctx); known {
		from = p.Addr.String()
	}
	caller := access.CallerOf(ctx)
	event := "a request was refused for its token"
	if errors.Is(err, access.ErrPermission) {
		event = "a request was refused for want of a permission"
	}
	g.Note(event, "peer", from, "principal", access.Principal(ctx), "method", method, "reason", err.Error())
	details := map[string]string{"first_from": from}
	var f *engine.Failure
	if errors.As(err, &f) {
		maps.Copy(details, f.Details)
	}
	g.Access.Refused(caller, path.Base(method), err.Error(), details)
	return err
}

// Permit decides whether a request that was let in may be done, and writes an act to the audit
// log.
func (g *Gate) Permit(ctx context.Context, method string, req any, grant access.Grant) error {
	if grant != nil {
		ask := rules[method]
		if ask == nil {
			ask = ofAll(access.Admin)
		}
		if err := ask(&asking{access.CallerOf(ctx), grant}, req); err != nil {
			return g.deny(ctx, method, err)
		}
	}
	if err := g.owns(ctx, req); err != nil {
		return err
	}
	if describe := acts[method]; describe != nil {
		if details := describe(req); details != nil {
			if g.Record != nil {
				return g.Record(ctx, method, path.Base(method), details)
			}
			return g.Access.Act(ctx, path.Base(method), details, nil)
		}
	}
	return nil
}

// inTransaction is a request that may be about an open transaction.
type inTransaction interface{ GetTxnId() string }

// owns refuses a request about a transaction that another principal began, as if there were none.
func (g *Gate) owns(ctx context.Context, req any) error {
	r, is := req.(inTransaction)
	if !is || r.GetTxnId() == "" {
		return nil
	}
	owner, isOpen := g.Engine.TxnPrincipal(engine.TxnID(r.GetTxnId()))
	if !isOpen || owner == access.Principal(ctx) {
		return nil
	}
	switch req.(type) {
	case *pb.TransactRequest, *pb.AbortTransactionRequest: // the engine refuses the id; whoever may abort all may
		return nil
	case *pb.GetTransactionRequest:
		return refuse(access.ErrPermission, "the transaction is another principal's")
	}
	return refuse(engine.ErrTxnNotFound, "transaction "+strings.ToValidUTF8(r.GetTxnId(), "")+" is not known: it never began here, or another principal began it")
}

// Answerable takes out of an answer what its caller may not read. The outcome of a transaction is
// found by its id, whose namespaces only the outcome says.
func Answerable(ctx context.Context, resp any, grant access.Grant) error {
	switch r := resp.(type) {
	case *pb.CommitResponse:
		for _, v := range r.GetVersions() {
			if !grant.Allows(access.Write, v.GetNamespace()) {
				return refuse(engine.ErrTxnNotFound, "the transaction is not known: it never began here, or another principal began it")
			}
		}
	case *pb.GetTransactionResponse:
		var shown []*pb.KeyVersion
		for _, v := range r.GetVersions() {
			if grant.Allows(access.Read, v.GetNamespace()) {
				shown = append(shown, v)
			}
		}
		if len(shown) == 0 && len(r.GetVersions()) > 0 {
			return refuse(access.ErrPermission, "the transaction wrote to no namespace that "+access.Principal(ctx)+" may read")
		}
		r.Versions = shown
	}
	return nil
}

func refuse(kind error, message string) error {
	return &engine.Failure{Kind: kind, Message: message}
}
