package lookout

import (
	"context"
	"path"
	"strings"
	"time"

	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/server/meter"
)

// conflicts are the refusals about what was there.
var conflicts = map[pb.ErrorCode]bool{
	pb.ErrorCode_CONFLICT: true, pb.ErrorCode_PRECONDITION_FAILED: true, pb.ErrorCode_LEASE_HELD: true,
	pb.ErrorCode_LEASE_LOST: true, pb.ErrorCode_EVALUATION_FAILED: true,
}

// IsConflict reports whether a code says that what was there was not what a request was made for.
func IsConflict(code pb.ErrorCode) bool { return conflicts[code] }

// Note counts how a request was answered: a status with a StatehouseError. What has none is of a client that
// gave up, or of a connection. req is nil if the request was refused on its header.
func (r *Refusals) Note(ctx context.Context, method string, req any, err error, now time.Time) {
	for _, d := range status.Convert(err).Details() {
		if d, is := d.(*pb.StatehouseError); is {
			r.Add(kindOf(ctx, method, req, d), now)
			return
		}
	}
}

// kindOf takes names of agents and keys only from what the engine says of a conflict, which has found them
// to be names.
func kindOf(ctx context.Context, method string, req any, d *pb.StatehouseError) Kind {
	of := d.GetDetails()
	k := Kind{Namespace: of["namespace"], Principal: access.Principal(ctx), Method: path.Base(method), Code: d.GetCode()}
	if k.Namespace == "" {
		k.Namespace, _ = meter.NamespaceOf(req)
	}
	if k.Namespace == "*" || len(k.Namespace) > engine.MaxNamespaceBytes { // all of them; or no name
		k.Namespace = ""
	}
	k.Namespace = strings.ToValidUTF8(k.Namespace, "")
	if IsConflict(k.Code) {
		k.Agent, k.Key, k.Lease = of["agent_id"], of["key"], of["lease"]
	}
	if what := of["what"]; k.Code == pb.ErrorCode_LIMIT_EXCEEDED {
		k.Limit = what
	}
	return k
}
