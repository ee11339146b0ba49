package engine

// Epoch is one of a store's lineage: a restore began it, after a commit. Up to there the store and
// the one that was backed up agree.
type Epoch struct {
	Name  string // 12 hexadecimal digits
	Began CommitTS
}
