package statehousev1

import "slices"

// Preconditions are those of the request's keys, without the empty one that a client puts
// beside reads: a daemon that does not know reads refuses that one, and so does not commit
// without regard to them.
func (x *TransactRequest) Preconditions() []*KeyPrecondition {
	if x.GetReads() == nil {
		return x.GetKeyPreconditions()
	}
	return slices.DeleteFunc(slices.Clone(x.GetKeyPreconditions()), func(k *KeyPrecondition) bool {
		return k.GetNamespace() == "" && k.GetAgentId() == "" && k.GetKey() == "" && k.GetLease() == "" && k.GetExpectedVersion() == 0
	})
}
