package meter

import (
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// services are those that a daemon answers for.
var services = []*grpc.ServiceDesc{
	&pb.StatehouseService_ServiceDesc, &pb.AdminService_ServiceDesc, &pb.CaptureService_ServiceDesc,
	&healthpb.Health_ServiceDesc, &reflectionpb.ServerReflection_ServiceDesc, &reflectionalpha.ServerReflection_ServiceDesc,
}

// endless are the streams that last as long as their client likes: their duration says nothing.
var endless = map[string]bool{
	pb.StatehouseService_Watch_FullMethodName:   true,
	pb.StatehouseService_Session_FullMethodName: true,
	healthpb.Health_Watch_FullMethodName:        true,
}

// committing are the methods of which the engine says how long its phases took.
var committing = map[string]bool{
	pb.StatehouseService_Commit_FullMethodName:   true,
	pb.StatehouseService_Transact_FullMethodName: true,
}

// Commits reports whether a method commits.
func Commits(method string) bool { return committing[method] }

// allMethods makes a Method of each there is, by its full name.
func (m *Meter) allMethods() map[string]*Method {
	all := make(map[string]*Method)
	for _, d := range services {
		for _, unary := range d.Methods {
			name := "/" + d.ServiceName + "/" + unary.MethodName
			all[name] = m.newMethod(name, true)
		}
		for _, s := range d.Streams {
			name := "/" + d.ServiceName + "/" + s.StreamName
			all[name] = m.newMethod(name, !endless[name] && !s.ClientStreams)
		}
	}
	return all
}
