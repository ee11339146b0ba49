package history

import "fmt"

// maxCovered is how many commits a part of the log may stand for.
const maxCovered = 1 << 24

// check refuses a base that is none.
func (b *Base) check() error {
	if b == nil || b.Covers == 0 {
		return nil
	}
	if b.Covers < b.CommitTS || b.Covers-b.CommitTS > maxCovered {
		return fmt.Errorf("the base at commit %d covers up to commit %d: it must be from there on, and %d commits at most", b.CommitTS, b.Covers, maxCovered)
	}
	return nil
}

// Covered are the agents that the log tells of. Nil: all of them, the log is whole.
func (h *History) Covered() map[AgentName]bool {
	b := h.Header.Base
	if b == nil || b.Covers == 0 {
		return nil
	}
	list := make(map[AgentName]bool, len(b.Agents))
	for _, a := range b.Agents {
		list[AgentName{a.Namespace, a.Agent}] = true
	}
	return list
}
