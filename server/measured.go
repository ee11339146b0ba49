package server

import (
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/meter"
)

// endless are the streams that last as long as their client likes: their duration says nothing.
var endless = map[string]bool{
	pb.StatehouseService_Watch_FullMethodName:   true,
	pb.StatehouseService_Session_FullMethodName: true,
	healthpb.Health_Watch_FullMethodName:        true,
}

// NewMeter is a meter of all methods that a service is served with.
func NewMeter(c meter.Config) *meter.Meter {
	c.Commits = commits
	for _, d := range []*grpc.ServiceDesc{&pb.StatehouseService_ServiceDesc, &pb.AdminService_ServiceDesc, &pb.CaptureService_ServiceDesc, &healthpb.Health_ServiceDesc, &reflectionpb.ServerReflection_ServiceDesc, &reflectionalpha.ServerReflection_ServiceDesc} {
		for _, m := range d.Methods {
			c.Methods = append(c.Methods, "/"+d.ServiceName+"/"+m.MethodName)
		}
		for _, s := range d.Streams {
			name := "/" + d.ServiceName + "/" + s.StreamName
			if endless[name] || s.ClientStreams {
				c.Lasting = append(c.Lasting, name)
			} else {
				c.Methods = append(c.Methods, name)
			}
		}
	}
	return meter.New(c)
}
