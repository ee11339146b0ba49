package member

import "statehouse.dev/statehouse/cluster/node"

// Number is one that those who watch over a member look at.
type Number struct {
	Name, Help string
	Counts     bool // it only rises
	Value      func() float64
}

// Numbers are all of them. They may be asked for from any goroutine, until Close.
func (m *Member) Numbers() []Number {
	of := func(name, help string, value func(s *node.Status) float64) Number {
		return Number{Name: name, Help: help, Value: func() float64 { return value(m.status.Load()) }}
	}
	return []Number{
		of("cluster_leads", "1 on the member that leads.", func(s *node.Status) float64 { return one(s.Role == node.Leader) }),
		of("cluster_has_leader", "1 where it is known who leads.", func(s *node.Status) float64 { return one(s.Leader != 0) }),
		of("cluster_term", "Rises with every election.", func(s *node.Status) float64 { return float64(s.Term) }),
		of("cluster_applied_index", "The last entry of the replicated log that is in the store.", func(s *node.Status) float64 { return float64(s.Applied) }),
		of("cluster_committed_index", "The last entry that this member knows to be committed.", func(s *node.Status) float64 { return float64(s.Committed) }),
		{Name: "cluster_peers_reached", Help: "Members that this one can send to now.", Value: func() float64 { return float64(m.transport.Reached()) }},
		{Name: "cluster_messages_sent_total", Help: "Messages that were sent to other members.", Counts: true, Value: func() float64 { sent, _ := m.transport.Counts(); return float64(sent) }},
		{Name: "cluster_messages_dropped_total", Help: "Messages that were not: the member was not reached, or took no more. They are repeated.", Counts: true, Value: func() float64 { _, dropped := m.transport.Counts(); return float64(dropped) }},
	}
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
