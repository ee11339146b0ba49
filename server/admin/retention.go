package admin

import (
	"context"

	"google.golang.org/protobuf/types/known/durationpb"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// SetRetention says how much of a namespace's past is kept.
func (s *Service) SetRetention(ctx context.Context, req *pb.SetRetentionRequest) (*pb.Retention, error) {
	r := engine.Retention{Namespace: req.GetNamespace(), MaxVersions: req.GetMaxVersions()}
	if d := req.GetMaxAge(); d != nil {
		if err := d.CheckValid(); err != nil {
			return nil, invalid("max_age", err.Error())
		}
		r.MaxAge = d.AsDuration()
	}
	r, err := s.Engine.SetRetention(ctx, r)
	if err != nil {
		return nil, err
	}
	return retentionMessage(&r), nil
}

// ListRetention lists what was set.
func (s *Service) ListRetention(context.Context, *pb.ListRetentionRequest) (*pb.ListRetentionResponse, error) {
	list, err := s.Engine.Retentions()
	if err != nil {
		return nil, err
	}
	resp := new(pb.ListRetentionResponse)
	for i := range list {
		resp.Retentions = append(resp.Retentions, retentionMessage(&list[i]))
	}
	return resp, nil
}

func retentionMessage(r *engine.Retention) *pb.Retention {
	m := &pb.Retention{Namespace: r.Namespace, MaxVersions: r.MaxVersions, FloorTs: uint64(r.Floor)}
	if r.MaxAge > 0 {
		m.MaxAge = durationpb.New(r.MaxAge)
	}
	return m
}
