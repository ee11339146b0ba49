package meter

import (
	"slices"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Via is how a request came.
type Via int

const (
	Call    Via = iota // of its own
	Session            // in a session
	vias
)

func (v Via) String() string { return [vias]string{"call", "session"}[v] }

// Codes of answers are numbered: 0 is OK, then come those of the contract, then gRPC's, of
// answers that have none of the contract.
const (
	ownCodes  = 64
	mostCodes = ownCodes + 32
)

// Method is what is counted of a method.
type Method struct {
	Name    string     // full, as gRPC has it
	Took    *Histogram // nil: its duration says nothing
	meter   *Meter
	commits bool // the engine says how long its phases took
	count   [vias][mostCodes]atomic.Uint64
}

func (m *Meter) newMethod(name string, timed bool) *Method {
	of := &Method{Name: name, meter: m, commits: committing[name]}
	if timed {
		of.Took = NewDurations()
	}
	return of
}

// Method is what counts the requests of a method; nil if nothing is measured. A name that no
// method has is counted with all others like it.
func (m *Meter) Method(name string) *Method {
	if m == nil {
		return nil
	}
	if of := m.methods[name]; of != nil {
		return of
	}
	return m.other
}

// Count is how many requests of a method were answered with a code.
type Count struct {
	Via  Via
	Code string
	N    uint64
}

// Counts lists the counts that are not zero, and that of OK.
func (m *Method) Counts() []Count {
	var list []Count
	for via := range vias {
		for code := range mostCodes {
			if n := m.count[via][code].Load(); n > 0 || code == 0 {
				list = append(list, Count{via, codeName(code), n})
			}
		}
	}
	return list
}

// Methods lists what is counted of each, by name; that of unknown names is the last.
func (m *Meter) Methods() []*Method {
	list := make([]*Method, 0, len(m.methods)+1)
	for _, of := range m.methods { // in any order: sorted below
		list = append(list, of)
	}
	slices.SortFunc(list, func(a, b *Method) int { return strings.Compare(a.Name, b.Name) })
	return append(list, m.other)
}

// Namespace is what is counted of the requests that name it.
type Namespace struct {
	Name     string
	OK, Fail atomic.Uint64
}

// Namespaces lists what is counted by namespace, all others together last.
func (m *Meter) Namespaces() []*Namespace {
	if m.elsewhere == nil {
		return nil
	}
	var list []*Namespace
	for _, name := range m.config.Namespaces {
		list = append(list, m.namespaces[name])
	}
	return append(list, m.elsewhere)
}

// CountNamespace counts a request by the namespace that it names first, where that is asked for.
func (m *Meter) CountNamespace(req any, err error) {
	if m == nil || m.elsewhere == nil {
		return
	}
	name, named := NamespaceOf(req)
	if !named {
		return
	}
	of := m.namespaces[name]
	if of == nil {
		of = m.elsewhere
	}
	if err == nil {
		of.OK.Add(1)
	} else {
		of.Fail.Add(1)
	}
}

// NamespaceOf is the namespace that a request names first, if it names one.
func NamespaceOf(req any) (name string, named bool) {
	switch r := req.(type) {
	case interface{ GetNamespace() string }:
		name, named = r.GetNamespace(), true
	case *pb.TransactRequest:
		for _, op := range r.GetOperations() {
			name, named = op.GetNamespace(), true
			break
		}
	case *pb.BatchGetStateRequest:
		for _, n := range r.GetNames() {
			name, named = n.GetNamespace(), true
			break
		}
	}
	if all, is := req.(interface{ GetAll() bool }); is && all.GetAll() && name == "" {
		return "", false
	}
	if named && name == "" {
		name = engine.DefaultNamespace
	}
	return name, named
}

// codeOf numbers the code that an answer has.
func codeOf(err error) int {
	if err == nil {
		return 0
	}
	s := status.Convert(err)
	for _, d := range s.Details() {
		if d, ok := d.(*pb.StatehouseError); ok && d.GetCode() > 0 && d.GetCode() < ownCodes {
			return int(d.GetCode())
		}
	}
	return ownCodes + min(int(s.Code()), mostCodes-ownCodes-1)
}

// codeName is the contract's name of a code, or that of gRPC behind "grpc_".
func codeName(code int) string {
	switch name, known := pb.ErrorCode_name[int32(code)]; {
	case code == 0:
		return "OK"
	case code >= ownCodes:
		return "grpc_" + codes.Code(code-ownCodes).String()
	case known:
		return name
	}
	return "unknown"
}

// CodeName is the name by which an answer is counted.
func CodeName(err error) string { return codeName(codeOf(err)) }
