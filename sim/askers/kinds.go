package askers

import (
	"fmt"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim/step"
)

// Values of both kinds: JSON and bytes, bytes that are JSON, and JSON that looks as bytes are shown to those who know
// none. Each is written over the others, read in every form, and carried by forks and restores.

// types are those of bytes: the same data has one now and another then.
var types = []string{"image/png", "image/gif", "text/plain; charset=\"utf-8\"", "application/octet-stream"}

// bytes is a value that is bytes.
func (a *asker) bytes() string {
	data := [][]byte{{}, {0, 1, 2, 0xff}, {0, 1, 2, 0xff}, []byte(`{"n":1}`)}[a.r.IntN(4)]
	return history.Bytes(types[a.r.IntN(len(types))], data)
}

// value is JSON text, or now and then a value of another kind.
func (a *asker) value(text string) string {
	switch at := a.r.IntN(16); {
	case at < 2:
		return a.bytes()
	case at == 2:
		return a.likeBytes()
	}
	return text
}

// likeBytes is JSON that looks as bytes are shown.
func (a *asker) likeBytes() string {
	data := []string{"", "AA==", "AAEC/w==", "eyJuIjoxfQ=="}[a.r.IntN(4)]
	return fmt.Sprintf(`{"$bytes":%q,"$content_type":%q}`, data, types[a.r.IntN(len(types))])
}

// as has values shown in one of the forms that there are.
func (a *asker) as(in *history.Input) {
	switch {
	case a.chance(0.4):
		in.Native = true
	case a.old:
		in.Doubles = true
	}
}

// blob writes what is bytes, or looks so, or is evaluated where bytes may be.
func (a *asker) blob() {
	n := a.key("blob-1", "blob-2")
	put := history.Write{Name: n, Value: a.bytes()}
	switch a.r.IntN(10) {
	case 0:
		put.Value = a.likeBytes()
	case 1:
		put.Value = fmt.Sprintf(`{"n":%d}`, a.r.IntN(9))
	case 2:
		put.Op = history.IfAbsent
	case 3:
		put.Op, put.Key = history.Append, "blob-"
	case 4:
		put.With = &history.Arguments{TTL: uint64(100 + a.r.IntN(2000))}
	case 5:
		a.writes(history.Write{Name: n, Op: history.Merge, Value: `{"m":1,"$bytes":"AA=="}`})
		return
	case 6:
		a.writes(history.Write{Name: n, Op: history.Increment, With: &history.Arguments{Pointer: "/n", Delta: "1"}})
		return
	case 7:
		a.stage(put)
		return
	case 8:
		a.writes(history.Write{Name: n, Delete: true})
		return
	}
	a.writes(put)
	if put.Op == "" && a.chance(0.5) { // the same data as another type
		_, data, _ := history.AsBytes(put.Value)
		put.Value = history.Bytes(types[a.r.IntN(len(types))], data)
		a.writes(put)
		a.send(history.Get, history.Input{Namespace: n.Namespace, Agent: n.Agent, Key: n.Key, Native: true})
	}
}

// stage writes in a transaction that the daemon holds.
func (a *asker) stage(w history.Write) {
	begin := a.p.Send(step.Step{Verb: step.Call, Client: a.name, Kind: history.Begin, In: history.Input{TxnID: a.w.FreshTxn()}}, patience)
	if begin == nil || begin.Outcome != history.OK {
		return
	}
	id := begin.Out.TxnID
	in := history.Input{TxnID: id, Namespace: w.Namespace, Agent: w.Agent, Key: w.Key, Value: w.Value}
	if op := a.send(history.StageWrite, in); op == nil || op.Outcome != history.OK {
		return // what it would commit is not known
	}
	read := history.Input{TxnID: id, Namespace: w.Namespace, Agent: w.Agent, Key: w.Key}
	a.as(&read)
	a.send(history.Get, read)
	a.send(history.Commit, history.Input{TxnID: id})
}

// show reads blobs in one form.
func (a *asker) show() {
	n := a.key("blob-1", "blob-2")
	in := history.Input{Namespace: n.Namespace, Agent: n.Agent}
	a.as(&in)
	switch a.r.IntN(5) {
	case 0, 1:
		in.Key = n.Key
		a.send(history.Get, in)
	case 2:
		in.Key, in.KeyVersion = n.Key, uint64(1+a.r.IntN(3))
		a.send(history.GetVersion, in)
	case 3:
		in.Key = n.Key
		a.send(history.KeyHistory, in)
	default:
		in.Prefix = "blob-"
		a.send(history.Scan, in)
	}
}
