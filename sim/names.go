package sim

import (
	"encoding/binary"
	"fmt"
	"time"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// names pairs the names of transactions in a world (t1, t2, …) with their ids on
// the wire, which depend on clocks and randomness: a run that lost half of its
// steps still means the same transactions.
type names struct {
	wire   map[string]string // by name
	name   map[string]string // by wire id
	count  int
	healed int    // of those that are made when everything is healed
	last   string // the last one whose id a step made
}

func newNames() names { return names{wire: make(map[string]string), name: make(map[string]string)} }

func (n *names) pair(name, wire string) {
	n.wire[name], n.name[wire] = wire, name
}

// fromWire is the name of an id; one without a name stays as it is.
func (n *names) fromWire(id string) string {
	if name, ok := n.name[id]; ok {
		return name
	}
	return id
}

// fresh is a name not given yet.
func (n *names) fresh() string {
	for {
		n.count++
		name := fmt.Sprintf("t%d", n.count)
		if _, taken := n.wire[name]; !taken {
			return name
		}
	}
}

// txnID makes the UUIDv7 (RFC 9562) that a client would have chosen for a
// transaction of that name.
func txnID(name string, now time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	binary.BigEndian.PutUint64(b[8:], simdisk.Derive(0, "txn", name))
	b[6] = 0x70 | byte(simdisk.Derive(1, "txn", name))&0x0f
	b[7] = byte(simdisk.Derive(2, "txn", name))
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// toWire is in as it goes over the wire, and the page token to send with it. It
// fails when in speaks of a transaction or a page that there is not.
func (w *World) toWire(kind history.Kind, in history.Input) (wire history.Input, token string, err error) {
	wire = in
	switch {
	case kind == history.Begin:
		wire.TxnID = ""
	case in.TxnID != "":
		id, known := w.names.wire[in.TxnID]
		if !known {
			if kind != history.Transact && kind != history.GetTxn {
				return wire, "", fmt.Errorf("transaction %s was not begun, or no client learned its id", in.TxnID)
			}
			id = txnID(in.TxnID, w.Now())
			w.names.pair(in.TxnID, id)
			w.names.last = in.TxnID
		}
		wire.TxnID = id
	}
	if in.PageOf != 0 {
		from := w.network.calls[in.PageOf]
		if from == nil || from.nextPage == "" {
			return wire, "", fmt.Errorf("call #%d did not answer with another page", in.PageOf)
		}
		token = from.nextPage
	}
	return wire, token, nil
}

// issueFromWire sends what a client program asked for, in the world's names, as
// a step: so that what is recorded is what was done.
func (w *World) issueFromWire(client, node, session string, kind history.Kind, in history.Input, token string) (*Call, error) {
	switch {
	case kind == history.Begin:
		in.TxnID = w.names.fresh()
	case in.TxnID != "":
		name, known := w.names.name[in.TxnID]
		if !known {
			name = w.names.fresh()
			w.names.name[in.TxnID] = name // what goes over the wire is not what the client chose, but means the same
		}
		in.TxnID = name
	}
	if token != "" {
		for i := len(w.network.order) - 1; i >= 0 && in.PageOf == 0; i-- {
			if w.network.order[i].nextPage == token {
				in.PageOf = w.network.order[i].op.ID
			}
		}
	}
	id := w.network.nextID()
	if err := w.Apply(step.Step{Verb: step.Call, Client: client, Node: node, Session: session, ID: id, Kind: kind, In: in}); err != nil {
		return nil, err
	}
	return w.network.calls[id], nil
}
