package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/sim/sched"
	"statehouse.dev/statehouse/sim/step"
)

// Keys of a daemon that has some. A call goes with one by token=NAME. What each may do is said
// here twice: as the scopes that the daemon is told, and as what the world holds it to, which
// does not go by the daemon's notion of a scope.

// principal is what there is to know of a key.
type principal struct {
	name   string
	scopes []*pb.AccessScope
	may    func(namespace string, write bool) bool
}

// Principals lists the names of the keys that a daemon with keys has.
func Principals() []string {
	var names []string
	for i := range principals {
		names = append(names, principals[i].name)
	}
	return append(names, "old") // a secret of reader's that was rotated away
}

const defaultSpace = "default"

var principals = []principal{
	{"near", []*pb.AccessScope{{Namespace: defaultSpace, Permission: pb.Permission_PERMISSION_WRITE}}, func(ns string, _ bool) bool { return ns == defaultSpace }},
	{"far", []*pb.AccessScope{{Namespace: defaultSpace + "-", Prefix: true, Permission: pb.Permission_PERMISSION_ADMIN}}, func(ns string, _ bool) bool { return strings.HasPrefix(ns, defaultSpace+"-") }},
	{"reader", []*pb.AccessScope{{Prefix: true, Permission: pb.Permission_PERMISSION_READ}}, func(_ string, write bool) bool { return !write }},
}

// keys is what a world knows of the keys of its daemon.
type keys struct {
	secrets map[string]string // by the name of the principal
	// revoking are those that somebody has begun to revoke; revoked those of which the daemon has
	// said so, with the last commit that could be read then.
	revoking map[string]bool
	revoked  map[string]uint64
	entries  map[string]uint64 // of several nodes: the entry of the log from which on each knows that
}

func newKeys() keys {
	return keys{make(map[string]string), make(map[string]bool), make(map[string]uint64), make(map[string]uint64)}
}

// operator calls a method with the shared token and takes it to its end, with whatever steps of
// the writer that needs: nothing else happens meanwhile.
func (p *process) operator(method string, req, resp proto.Message) (err error) {
	m := step.AdminMethod(method)
	wire, err := marshal(req)
	if err != nil {
		return err
	}
	p.n.reasons.judge.Counts(p.n.now())
	c := &Call{request: request{method: m, wire: wire}, op: &history.Operation{Client: "operator"}}
	task := sched.Spawn(func(t *sched.Task) {
		var raw []byte
		if raw, err = p.handle(context.Background(), t, c); err == nil {
			err = proto.Unmarshal(raw, resp)
		}
	})
	p.w.tasks.Resume(task)
	for !task.Ended() && p.image == nil {
		p.syncs.Set(true)
		var did bool
		p.act(func() { did = p.service.Engine().Step() })
		if p.image == nil && task.Runnable() {
			p.w.tasks.Resume(task)
		} else if !did {
			break
		}
	}
	if !task.Ended() {
		p.w.tasks.Kill(task)
		return errReset
	}
	return err
}

// makeKeys sees to it that the daemon has its keys and the world their secrets. Of a key that was
// made when the daemon died the secret was told to nobody: it gets another.
func (w *World) makeKeys(p *process) {
	if !w.config.Keys || w.machine.pristine != nil || p.member != nil {
		return
	}
	for i := range principals {
		k := &principals[i]
		if w.keys.secrets[k.name] != "" {
			continue
		}
		var made pb.AccessKeySecret
		err := p.operator("CreateAccessKey", &pb.CreateAccessKeyRequest{Name: k.name, Scopes: k.scopes}, &made)
		if err != nil && p.image == nil {
			err = p.operator("RotateAccessKey", &pb.RotateAccessKeyRequest{Key: k.name}, &made)
		}
		if err != nil || p.image != nil {
			return // the next start tries again
		}
		w.keys.secrets[k.name] = made.GetSecret()
	}
	if w.keys.secrets["old"] != "" {
		return
	}
	var made pb.AccessKeySecret
	if err := p.operator("RotateAccessKey", &pb.RotateAccessKeyRequest{Key: "reader", Overlap: durationpb.New(0)}, &made); err == nil && p.image == nil {
		w.keys.secrets["old"], w.keys.secrets["reader"] = w.keys.secrets["reader"], made.GetSecret()
		w.keys.revoking["old"], w.keys.revoked["old"] = true, 0
	} else {
		w.keys.secrets["reader"] = "" // which of the two is good is not known: the next start makes another
	}
}

// revoke ends a key, as an operator does.
func (w *World) revoke(name string) error {
	p := w.process
	switch {
	case p == nil || p.inflight || p.drain != nil || w.machine.pristine != nil:
		return misfit("no daemon runs that could revoke a key now")
	case w.keys.secrets[name] == "" || w.keys.revoking[name]:
		return misfit("there is no key %q, or not any more", name)
	}
	w.keys.revoking[name] = true
	err := p.operator("RevokeAccessKey", &pb.RevokeAccessKeyRequest{Key: name}, new(pb.AccessKey))
	if err == nil && p.image == nil {
		w.keys.revoked[name] = uint64(p.service.Engine().Published())
		w.machine.told.publish(w.keys.revoked[name])
		w.rec.probe("key revoked")
		w.checkLogged("RevokeAccessKey", name)
	}
	w.rec.note(w.lane("daemon"), "revoke", fmt.Sprint(name, ": ", err))
	return nil
}

// checkLogged holds the daemon to writing what an operator did to its audit log: it is there when the
// operator is told that it is done.
func (w *World) checkLogged(act, key string) {
	entries, _, err := access.Audit(w.process.service.Engine(), 0, 10_000)
	found := slices.ContainsFunc(entries, func(e access.Entry) bool {
		return e.Action == act && e.Principal == access.TokenPrincipal && e.Refused == "" && e.Details["key"] == key
	})
	if err == nil && !found {
		w.rec.violate("G10", "act-not-logged", 0, fmt.Sprintf("%s of %q was done, and the audit log does not say so", act, key))
	}
}

// authorise says of a request with a token whether, and why, the daemon must refuse it.
func (w *World) authorise(token string, r *request) error {
	switch {
	case token == "wrong" || token == "none":
		r.refuse, r.stranger = "its token is not the daemon's", true
	case w.keys.secrets[token] == "":
		return misfit("the daemon has no key %q", token)
	case !keyed(r):
		return misfit("a %s does not go with a key", r.method.Word)
	default:
		why, stranger := w.mayNot(token, r)
		if why != "" {
			r.refuse, r.stranger, r.denied = why, stranger, !stranger
		}
	}
	return nil
}

// sends holds the daemon to sending nothing more to a key that was revoked.
func (w *World) sends(c *Call) {
	if w.knowsRevoked(c) {
		w.rec.violate("G10", "stream-goes-on", c.op.ID, fmt.Sprintf("the key %q of stream #%d was revoked, and the daemon sends more", c.token, c.op.ID))
	}
}

// mayNot is why a request must be refused that comes with a key; empty if it need not. stranger:
// the key is good for nothing any more.
func (w *World) mayNot(name string, r *request) (why string, stranger bool) {
	if _, ended := w.keys.revoked[name]; ended && w.peers == nil { // one of several need not know it yet
		return "its key was revoked", true
	}
	i := slices.IndexFunc(principals, func(k principal) bool { return k.name == name })
	if i < 0 || !strings.Contains(r.method.Name, ".StatehouseService/") {
		return "it is an operator's", false
	}
	m := r.method.NewRequest()
	if proto.Unmarshal(r.wire, m) != nil {
		return "", false // it is refused as no message
	}
	if forbidden(m.ProtoReflect(), r.method.Word == "Write" || r.method.Word == "Delete", principals[i].may) {
		return "it names a namespace that its key may not use so", false
	}
	return "", false
}

// forbidden reports whether a message names a namespace, anywhere in it, that may not be used so.
// Operations write; everything else that a message has in it is read.
func forbidden(m protoreflect.Message, write bool, may func(string, bool) bool) bool {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.Name() == "namespace":
			ns := m.Get(f).String()
			if ns == "" {
				ns = defaultSpace
			}
			if !may(ns, write) {
				return true
			}
		case f.Message() == nil || f.IsMap() || f.Message().ParentFile() != m.Descriptor().ParentFile():
		case f.IsList():
			for k := range m.Get(f).List().Len() {
				if forbidden(m.Get(f).List().Get(k).Message(), f.Name() == "operations", may) {
					return true
				}
			}
		case m.Has(f):
			if forbidden(m.Get(f).Message(), write, may) {
				return true
			}
		}
	}
	return false
}

// keyed reports whether a call can go with a key, and is judged then: one that no transaction of
// another principal comes into, and no list that is cut to what its reader may see.
func keyed(r *request) bool {
	switch r.method.Word {
	case "BeginTransaction", "Write", "Delete", "Commit", "Abort", "GetTransaction", "ListNamespaces":
		return false
	}
	m := r.method.NewRequest()
	if proto.Unmarshal(r.wire, m) != nil {
		return true
	}
	q, is := m.(interface{ GetTxnId() string })
	return !is || q.GetTxnId() == "" || r.method.Word == "Transact"
}

// holdRevoked holds what a revoked key has begun to ending: its streams with the next tick of the
// daemon's clock, and its commits with the answer to the revocation.
func (w *World) holdRevoked() {
	for _, c := range w.handlers {
		if w.knowsRevoked(c) && c.Stream() && !c.handler.Ended() && len(c.msgs) < streamWindow {
			w.rec.violate("G10", "stream-goes-on", c.op.ID, fmt.Sprintf("the key %q of stream #%d was revoked, and the stream goes on", c.token, c.op.ID))
		}
	}
}

// checkRevoked compares the commits that revoked keys were told of with when that was.
func (w *World) checkRevoked() {
	for _, c := range w.network.order {
		last, ended := w.keys.revoked[c.token]
		if ended && c.op.Outcome == history.OK && c.commits() && uint64(c.op.Out.CommitTS) > last && len(c.op.In.Writes) > 0 {
			w.rec.violate("G10", "revoked-key-writes", c.op.ID, fmt.Sprintf("#%d is commit %d of the key %q, which was revoked when the last was %d", c.op.ID, c.op.Out.CommitTS, c.token, last))
		}
	}
}

// KeyFor is the name of a key with which a call can go, by a number that was drawn; empty: with none.
func (w *World) KeyFor(s step.Step, drawn int) string {
	names := Principals()
	name := names[drawn%len(names)]
	if s.Session != "" || w.keys.secrets[name] == "" {
		return ""
	}
	r, err := w.peek(&s)
	if err != nil || !keyed(&r) {
		return ""
	}
	return name
}
