package node

// ProposeRaw proposes an entry, whatever it is.
func (n *Node) ProposeRaw(data []byte) error { return n.raft.Propose(data) }

// Term is the term that an append stores; 0: none.
func (a *Append) Term() uint64 { return a.m.GetTerm() }
