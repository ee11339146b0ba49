package node

// ProposeRaw proposes an entry, whatever it is.
func (n *Node) ProposeRaw(data []byte) error { return n.raft.Propose(data) }
