package transport

import (
	"context"
	"slices"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
)

// Protocol is the version in which members of this build speak to each other. It rises when a build could not
// understand one of before.
const Protocol = 1

// What every call has in its metadata.
const (
	clusterKey  = "statehouse-cluster"
	fromKey     = "statehouse-from"
	toKey       = "statehouse-to"
	protocolKey = "statehouse-protocol"
	laneKey     = "statehouse-lane"
	clientsKey  = "statehouse-client-addr" // where clients reach whoever sends it
)

// caller is who calls whom.
type caller struct {
	cluster  string
	from, to uint64
}

// outgoing is a context of calls of the caller's.
func (c caller) outgoing(ctx context.Context, more ...string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, append([]string{
		clusterKey, c.cluster, fromKey, strconv.FormatUint(c.from, 10), toKey, strconv.FormatUint(c.to, 10),
		protocolKey, strconv.Itoa(Protocol),
	}, more...)...)
}

func incoming(ctx context.Context, key string) string {
	if values := metadata.ValueFromIncomingContext(ctx, key); len(values) == 1 {
		return values[0]
	}
	return ""
}

// check refuses a call that is not of a member of this cluster to this one, and says who calls.
func (t *Transport) check(ctx context.Context) (from uint64, err error) {
	cluster, self := t.config.Cluster, t.config.ID
	if err := CheckProtocol(incoming(ctx, protocolKey)); err != nil {
		return 0, err
	}
	if of := incoming(ctx, clusterKey); of != cluster {
		return 0, status.Errorf(codes.PermissionDenied, "this is a member of cluster %s, and whoever calls it is of %q", cluster, of)
	}
	if to := incoming(ctx, toKey); to != strconv.FormatUint(self, 10) {
		return 0, status.Errorf(codes.PermissionDenied, "this is member %d, and the call is to %q: do two members have one address?", self, to)
	}
	if from, err = strconv.ParseUint(incoming(ctx, fromKey), 10, 64); err != nil || from == 0 || from == self {
		return 0, status.Errorf(codes.PermissionDenied, "member %q cannot call member %d", incoming(ctx, fromKey), self)
	}
	if t.Peer(from) == nil {
		return 0, t.unknown(from)
	}
	return from, nil
}

// wasRemoved is the code that tells a member that it is none any more. No other refusal of a stream has it.
const wasRemoved = codes.NotFound

// unknown refuses who is no member: not yet as far as is known here, or not any more.
func (t *Transport) unknown(from uint64) error {
	if slices.Contains(t.table.Load().removed, from) {
		return status.Errorf(wasRemoved, "member %d was removed from the cluster", from)
	}
	return status.Errorf(codes.PermissionDenied, "member %d knows no member %d", t.config.ID, from)
}

// From is the member that calls, of a call that was let in.
func From(ctx context.Context) uint64 {
	id, _ := strconv.ParseUint(incoming(ctx, fromKey), 10, 64)
	return id
}

// CheckProtocol refuses another version of the protocol than this build's.
func CheckProtocol(version string) error {
	if version != strconv.Itoa(Protocol) {
		return status.Errorf(codes.FailedPrecondition, "this member speaks version %d of the members' protocol, and whoever calls it %q: use one build for all", Protocol, version)
	}
	return nil
}

// unary refuses calls of strangers. Join is asked by who is no member yet, and says what it must itself.
func (t *Transport) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if info.FullMethod != clusterpb.PeerService_Join_FullMethodName {
		if _, err := t.check(ctx); err != nil {
			return nil, err
		}
	}
	return handler(ctx, req)
}

func (t *Transport) stream(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if _, err := t.check(s.Context()); err != nil {
		return err
	}
	return handler(srv, s)
}
