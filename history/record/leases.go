package record

import (
	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// The methods of leases and of expiry.

var renewLeases = unary(history.RenewLeases, pb.StatehouseService_RenewLeases_FullMethodName,
	func(in *history.Input, _ string) *pb.RenewLeasesRequest {
		req := &pb.RenewLeasesRequest{}
		for _, r := range in.Renewals {
			req.Leases = append(req.Leases, &pb.LeaseRenewal{Namespace: r.Namespace, AgentId: r.Agent, Lease: r.Lease, Token: r.Token, TtlMs: r.TTL})
		}
		return req
	},
	func(r *pb.RenewLeasesRequest, in *history.Input) {
		for _, l := range r.GetLeases() {
			in.Renewals = append(in.Renewals, history.Renewal{
				Namespace: namespace(l.GetNamespace()), Agent: l.GetAgentId(), Lease: l.GetLease(), Token: l.GetToken(), TTL: l.GetTtlMs(),
			})
		}
	},
	func(r *pb.RenewLeasesResponse, _ *history.Input, out *history.Output) {
		for _, l := range r.GetLeases() {
			out.Renewed = append(out.Renewed, history.Renewed{Lost: l.GetLost(), Deadline: nanos(l.GetDeadline())})
		}
	},
)

var listLeases = unary(history.ListLeases, pb.StatehouseService_ListLeases_FullMethodName,
	func(in *history.Input, page string) *pb.ListLeasesRequest {
		return &pb.ListLeasesRequest{Namespace: in.Namespace, AgentId: in.Agent, Prefix: in.Prefix, Limit: uint32(in.Limit), PageToken: page}
	},
	func(_ *pb.ListLeasesRequest, in *history.Input) { in.AllAgents = in.Agent == "" },
	func(r *pb.ListLeasesResponse, _ *history.Input, out *history.Output) {
		for _, l := range r.GetLeases() {
			out.Leases = append(out.Leases, *lease(l))
		}
	},
)

var refreshExpiry = unary(history.RefreshExpiry, pb.StatehouseService_RefreshExpiry_FullMethodName,
	func(in *history.Input, _ string) *pb.RefreshExpiryRequest {
		req := &pb.RefreshExpiryRequest{TtlMs: in.TTL}
		for _, n := range in.Names {
			req.Names = append(req.Names, &pb.RecordName{Namespace: n.Namespace, AgentId: n.Agent, Key: n.Key})
		}
		return req
	},
	func(r *pb.RefreshExpiryRequest, in *history.Input) {
		in.TTL = r.GetTtlMs()
		for _, n := range r.GetNames() {
			in.Names = append(in.Names, name(n))
		}
	},
	func(r *pb.RefreshExpiryResponse, _ *history.Input, out *history.Output) {
		for _, f := range r.GetRecords() {
			out.Refreshed = append(out.Refreshed, history.Refreshed{ExpiresAt: nanos(f.GetExpiresAt()), Version: f.GetVersion()})
		}
	},
)
