package record

import (
	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// What a transaction read that its client holds.

func readSet(r *history.Reads) *pb.ReadSet {
	if r == nil {
		return nil
	}
	m := &pb.ReadSet{SnapshotTs: r.Snapshot}
	for _, k := range r.Keys {
		m.Keys = append(m.Keys, &pb.ReadKey{Namespace: k.Namespace, AgentId: k.Agent, Key: k.Key, Version: k.Version})
	}
	for _, l := range r.Ranges {
		m.Ranges = append(m.Ranges, &pb.ReadRange{Namespace: l.Namespace, AgentId: l.Agent, Prefix: l.Prefix, First: l.First, Last: l.Last})
	}
	return m
}

func readsOf(m *pb.ReadSet) *history.Reads {
	if m == nil {
		return nil
	}
	r := &history.Reads{Snapshot: m.GetSnapshotTs()}
	for _, k := range m.GetKeys() {
		r.Keys = append(r.Keys, history.KeyVersion{Name: name(k), Version: k.GetVersion()})
	}
	for _, l := range m.GetRanges() {
		r.Ranges = append(r.Ranges, history.Range{
			Namespace: namespace(l.GetNamespace()), Agent: l.GetAgentId(), Prefix: l.GetPrefix(), First: l.GetFirst(), Last: l.GetLast(),
		})
	}
	return r
}
