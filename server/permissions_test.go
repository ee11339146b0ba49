package server

import (
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
)

// servedMethods are all methods of the daemon's own services.
func servedMethods(t *testing.T) map[string]protoreflect.MethodDescriptor {
	t.Helper()
	methods := make(map[string]protoreflect.MethodDescriptor)
	for _, desc := range []grpc.ServiceDesc{pb.StatehouseService_ServiceDesc, pb.CaptureService_ServiceDesc, pb.AdminService_ServiceDesc} {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(desc.ServiceName))
		if err != nil {
			t.Fatal(err)
		}
		list := d.(protoreflect.ServiceDescriptor).Methods()
		for i := range list.Len() {
			methods["/"+desc.ServiceName+"/"+string(list.Get(i).Name())] = list.Get(i)
		}
	}
	return methods
}

// Every method that is served has a rule, health and reflection among them.
func TestEveryMethodHasARule(t *testing.T) {
	r := newRig(t)
	served := servedMethods(t)
	g := grpc.NewServer()
	defer g.Stop()
	r.service.Register(g)
	for service, info := range g.GetServiceInfo() {
		for _, m := range info.Methods {
			if served["/"+service+"/"+m.Name] == nil {
				t.Errorf("%s/%s is served, and no service that this test knows has it", service, m.Name)
			}
		}
	}
	for method := range served { // in any order
		if rules[method] == nil {
			t.Errorf("%s has no rule", method)
		}
	}
	for method := range rules { // in any order
		if served[method] == nil && !strings.HasPrefix(method, "/grpc.") {
			t.Errorf("there is a rule for %s, which is no method", method)
		}
	}
	for method := range acts { // in any order
		if rules[method] == nil || !strings.Contains(method, "Admin") && !strings.Contains(method, "Capture") {
			t.Errorf("%s is no act of an operator", method)
		}
	}
}

// namespacesIn calls visit with a message in which one of the fields named namespace is "closed" and
// all others are "open", for each of them. Repeated fields have two elements, so that a rule that
// asks about the first only is found.
func namespacesIn(t *testing.T, d protoreflect.MessageDescriptor, visit func(m proto.Message, where string)) {
	t.Helper()
	var paths []string
	fill := func(closed int) proto.Message {
		kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
		if err != nil {
			t.Fatal(err)
		}
		m, n := kind.New(), 0
		paths = paths[:0]
		var set func(m protoreflect.Message, path string)
		set = func(m protoreflect.Message, path string) {
			fields := m.Descriptor().Fields()
			for i := range fields.Len() {
				f := fields.Get(i)
				at := path + string(f.Name())
				switch {
				case f.Name() == "namespace":
					name := "open"
					if n == closed {
						name = "closed"
					}
					m.Set(f, protoreflect.ValueOfString(name))
					paths, n = append(paths, at), n+1
				case f.Kind() != protoreflect.MessageKind || f.Message().ParentFile().Package() != d.ParentFile().Package() || f.IsMap():
				case f.IsList():
					list := m.Mutable(f).List()
					for range 2 {
						set(list.AppendMutable().Message(), at+"[].")
					}
				default:
					set(m.Mutable(f).Message(), at+".")
				}
			}
		}
		set(m, "")
		return m.Interface()
	}
	fill(-1)
	for i := range len(paths) {
		m := fill(i)
		visit(m, paths[i])
	}
}

// Whatever namespace a request names is asked about, wherever it stands in it: the first of a
// list and the last.
func TestRulesAskAboutEveryNamespace(t *testing.T) {
	caller := &access.Caller{Name: "ann"}
	grant := access.Grant{{Namespace: "open", Permission: access.Admin}}
	for method, d := range servedMethods(t) { // in any order
		namespacesIn(t, d.Input(), func(m proto.Message, where string) {
			err := rules[method](&asking{caller, grant}, m)
			if err == nil {
				t.Errorf("%s: the namespace in %s is not asked about", method, where)
			} else if !strings.Contains(err.Error(), "closed") && !strings.Contains(err.Error(), "all namespaces") {
				t.Errorf("%s: for the namespace in %s: %v", method, where, err)
			}
			all := access.Grant{{Prefix: true, Permission: access.Admin}}
			if err := rules[method](&asking{caller, all}, m); err != nil {
				t.Errorf("%s: refused to who may do everything: %v", method, err)
			}
		})
	}
}

// What changes something asks for more than reading; what changes the daemon, for everything.
func TestRulesAskForEnough(t *testing.T) {
	reader := access.Grant{{Prefix: true, Permission: access.Read}}
	writer := access.Grant{{Prefix: true, Permission: access.Write}}
	caller := &access.Caller{Name: "ann"}
	for method, d := range servedMethods(t) { // in any order
		kind, err := protoregistry.GlobalTypes.FindMessageByName(d.Input().FullName())
		if err != nil {
			t.Fatal(err)
		}
		m := kind.New().Interface()
		if q, is := m.(*pb.TransactRequest); is {
			q.Operations = []*pb.TransactOperation{{}}
		}
		name := string(d.Name())
		changes := name == "Write" || name == "Delete" || name == "Transact"
		operators := strings.Contains(method, "AdminService") || strings.Contains(method, "CaptureService")
		if err := rules[method](&asking{caller, reader}, m); (err != nil) != (changes || operators) {
			t.Errorf("%s for who may read: %v", method, err)
		}
		if err := rules[method](&asking{caller, writer}, m); (err != nil) != operators {
			t.Errorf("%s for who may write: %v", method, err)
		}
	}
}

