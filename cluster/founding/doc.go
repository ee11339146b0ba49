// Package founding makes a cluster: directories whose stores are copies of one, and that say who they are.
//
// A store's id and its first epoch are drawn when it is made, so members cannot begin with stores that each
// made for itself. One of them founds the cluster (Found): the store in its directory, made there if there is
// none, becomes that of the first member as it is, and a copy of it is laid by. Each of the others joins (Join)
// with an empty directory: it asks who it is, fetches the copy, verifies it, and only then is a member, which may
// vote. Raft has whatever was committed meanwhile.
//
// Who the members are is said by whoever founds the cluster, and each of them is given to one directory
// alone: a member whose disk is gone has forgotten what it promised, and must not come back as who it was. Who was
// added later joins as well; it begins with a copy of the store of one that there is, and the log from there on.
//
//	DIR/STATEHOUSE, store/, witness …   the store, as of one machine
//	DIR/CLUSTER                         of which cluster, and which member of which (identity.go)
//	DIR/raft/                           the log
//	DIR/initial/                        the first member's alone: the copy, until all have fetched it (initial.go)
//	DIR/joining/                        what is fetched, until it is whole (join.go)
package founding
