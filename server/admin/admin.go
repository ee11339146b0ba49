// Package admin answers what operators ask: the AdminService of the contract. Handlers translate,
// as those of the service of agents do, and each subject has a file. What a caller may is decided
// before a handler is called, where requests are let in (package server).
package admin

import (
	"google.golang.org/grpc"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
)

// Service answers the RPCs of AdminService.
type Service struct {
	pb.UnimplementedAdminServiceServer
	Engine *engine.Engine
	Env    engine.Env
	Access *access.Control
}

// Register adds the service to a gRPC server, or to the simulator's transport.
func (s *Service) Register(r grpc.ServiceRegistrar) { pb.RegisterAdminServiceServer(r, s) }
