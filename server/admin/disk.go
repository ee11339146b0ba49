package admin

import (
	"context"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// GetDiskUsage says what takes space.
func (s *Service) GetDiskUsage(context.Context, *pb.GetDiskUsageRequest) (*pb.GetDiskUsageResponse, error) {
	u, err := s.Engine.DiskUsage()
	if err != nil {
		return nil, err
	}
	resp := &pb.GetDiskUsageResponse{TotalBytes: u.Total, FreeBytes: u.Free}
	for _, part := range u.Parts {
		resp.Parts = append(resp.Parts, &pb.DiskUsage{Part: part.Name, Bytes: part.Bytes})
	}
	return resp, nil
}

// Compact rewrites the store's files, and says how far it is.
func (s *Service) Compact(_ *pb.CompactRequest, stream pb.AdminService_CompactServer) error {
	var at pb.CompactProgress
	err := s.Engine.CompactAll(stream.Context(), func(done, total uint64) error {
		at.BytesDone, at.BytesTotal = done, total
		return stream.Send(&pb.CompactProgress{BytesDone: done, BytesTotal: total})
	})
	if err != nil {
		return err
	}
	at.Done = true
	return stream.Send(&at)
}
