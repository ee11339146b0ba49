package record

import (
	"slices"
	"strconv"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// The methods that find, compare, and tell where an agent comes from.

var find = unary(history.Find, pb.StatehouseService_Find_FullMethodName,
	func(in *history.Input, page string) *pb.FindRequest {
		req := &pb.FindRequest{
			Namespace: in.Namespace, AgentId: in.Agent, AllAgents: in.AllAgents, Prefix: in.Prefix, At: at(in), Encoding: encoding(in), Limit: uint32(in.Limit), PageToken: page,
			MinReadTs: in.MinRead, MaxStalenessMs: in.MaxStale, WithMetadata: in.WithMetadata,
		}
		if in.ByChange {
			req.Order = pb.FindOrder_FIND_ORDER_CHANGED
		}
		for _, f := range in.Where {
			req.Where = append(req.Where, &pb.Condition{Pointer: f.Pointer, Metadata: f.Metadata, Comparison: comparison(f.Is), Value: f.Value, Negate: f.Not})
		}
		return req
	},
	func(r *pb.FindRequest, in *history.Input) {
		in.AllAgents, in.ByChange, in.WithMetadata = r.GetAllAgents(), r.GetOrder() == pb.FindOrder_FIND_ORDER_CHANGED, r.GetWithMetadata()
		for _, c := range r.GetWhere() {
			in.Where = append(in.Where, history.Filter{Pointer: c.GetPointer(), Metadata: c.GetMetadata(), Is: sign(c.GetComparison()), Value: c.GetValue(), Not: c.GetNegate()})
		}
	},
	func(r *pb.FindResponse, in *history.Input, out *history.Output) {
		out.Scanned = r.GetScanned()
		for _, e := range r.GetEntries() {
			out.Records = append(out.Records, entry(in.Name(), e))
		}
	},
)

// signs are the comparisons as histories write them, by their numbers in the contract.
var signs = []string{"=", "!=", "<", "<=", ">", ">=", "in", "exists"}

// sign of one that is not in the contract is its number.
func sign(c pb.Comparison) string {
	if int(c) < len(signs) && c >= 0 {
		return signs[c]
	}
	return strconv.Itoa(int(c))
}

func comparison(sign string) pb.Comparison {
	if i := slices.Index(signs, sign); i >= 0 {
		return pb.Comparison(i)
	}
	n, err := strconv.Atoi(sign)
	if err != nil {
		n = -1 // refused, as what was recorded so was
	}
	return pb.Comparison(n)
}

var diff = unary(history.Diff, pb.StatehouseService_Diff_FullMethodName,
	func(in *history.Input, page string) *pb.DiffRequest {
		req := &pb.DiffRequest{
			Namespace: in.Namespace, AgentId: in.Agent, From: at(in), Prefix: in.Prefix, Limit: uint32(in.Limit), PageToken: page, Encoding: encoding(in),
		}
		if req.From == nil {
			req.From = new(pb.At) // now; without one it would be from nothing
		}
		if v := in.Versus; v != nil {
			req.ToNamespace, req.ToAgentId, req.To = v.Namespace, v.Agent, point(v.At, v.AtTime)
		}
		return req
	},
	func(r *pb.DiffRequest, in *history.Input) {
		if in.At, in.AtTime = moment(r.GetFrom()); r.GetFrom() == nil {
			in.At = new(uint64) // which is the same
		}
		v := history.Point{Namespace: r.GetToNamespace(), Agent: r.GetToAgentId()}
		if v.Agent != "" {
			v.Namespace = namespace(v.Namespace)
		}
		if v.At, v.AtTime = moment(r.GetTo()); v != (history.Point{}) {
			in.Versus = &v
		}
	},
	func(r *pb.DiffResponse, in *history.Input, out *history.Output) {
		out.FromTS, out.ToTS = r.GetFromTs(), r.GetToTs()
		after := in.Name()
		if v := in.Versus; v != nil && v.Agent != "" {
			after.Namespace, after.Agent = v.Namespace, v.Agent
		}
		for _, k := range r.GetKeys() {
			d := history.KeyDiff{Key: k.GetKey(), Patch: string(k.GetPatchJson())}
			d.Before = state(history.Name{Namespace: in.Namespace, Agent: in.Agent, Key: d.Key}, k.GetBefore())
			d.After = state(history.Name{Namespace: after.Namespace, Agent: after.Agent, Key: d.Key}, k.GetAfter())
			out.Diffs = append(out.Diffs, d)
		}
	},
)

var getAgent = unary(history.GetAgent, pb.StatehouseService_GetAgent_FullMethodName,
	func(in *history.Input, _ string) *pb.GetAgentRequest {
		return &pb.GetAgentRequest{Namespace: in.Namespace, AgentId: in.Agent}
	},
	nil,
	func(r *pb.GetAgentResponse, _ *history.Input, out *history.Output) {
		if r.GetAgent() != nil {
			out.Agents = []history.Agent{agentLine(r.GetAgent())}
		}
		if f := r.GetForkedFrom(); f != nil {
			out.Origin = &history.Origin{
				Namespace: f.GetNamespace(), Agent: f.GetAgentId(), CommitTS: f.GetCommitTs(), ForkedTS: f.GetForkedTs(), ForkedAt: nanos(f.GetForkedAt()),
			}
		}
		for _, a := range r.GetForks() {
			out.Forks = append(out.Forks, agentLine(a))
		}
	},
)
