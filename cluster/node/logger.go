package node

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// pebbleLog drops what Pebble logs, and halts with what it cannot go on with.
type pebbleLog struct {
	quiet
	halt func(error)
}

func (l pebbleLog) Fatalf(f string, a ...any) {
	l.halt(fmt.Errorf("the raft log: "+f, a...))
	select {} // only if halting does not end the process: it would go on with what is not stored
}

// quiet drops what is logged, and ends with what raft cannot go on with.
type quiet struct{}

var (
	_ pebble.Logger = pebbleLog{}
	_ raft.Logger   = quiet{}
)

func (quiet) Debug(...any)              {}
func (quiet) Debugf(string, ...any)     {}
func (quiet) Info(...any)               {}
func (quiet) Infof(string, ...any)      {}
func (quiet) Warning(...any)            {}
func (quiet) Warningf(string, ...any)   {}
func (quiet) Error(...any)              {}
func (quiet) Errorf(string, ...any)     {}
func (quiet) Fatal(a ...any)            { panic(raftPanic(fmt.Sprint(a...))) }
func (quiet) Fatalf(f string, a ...any) { panic(raftPanic(fmt.Sprintf(f, a...))) }
func (quiet) Panic(a ...any)            { panic(raftPanic(fmt.Sprint(a...))) }
func (quiet) Panicf(f string, a ...any) { panic(raftPanic(fmt.Sprintf(f, a...))) }

// raftPanic is what raft says when it cannot go on.
type raftPanic string

// step gives raft a message. That it cannot go on ends the node, and not the process: a leader that counts on
// what this node has lost is no fault of the program.
func (n *Node) step(m *raftpb.Message) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case raftPanic:
			n.halted = errors.Join(n.halted, fmt.Errorf("raft cannot go on: %s", string(p)))
		default:
			panic(p)
		}
	}()
	_ = n.raft.Step(m) // what is stale is dropped
}
