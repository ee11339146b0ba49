package server

import (
	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/page"
)

// What a read asks for decides whether the newest state is needed for it, when the service is one of several. One that
// names a point of the order that is published here is answered the same by every member, for ever.

// needsNewest reports whether a read is to wait until this member has all that was committed before.
func (s *Service) needsNewest(req any) bool {
	// First: a commit whose time is seen is published.
	last, published := s.engine.PublishedTime(), s.engine.Published()
	here := func(at *pb.At) bool {
		switch at.GetPoint().(type) {
		case *pb.At_CommitTs:
			return engine.CommitTS(at.GetCommitTs()) <= published
		case *pb.At_Time:
			return at.GetTime().AsTime().Before(last) // another commit may come at the same time
		}
		return false
	}
	switch r := req.(type) {
	case *pb.ReplayRequest: // a lineage is that of now
		return r.EndTs == nil || engine.CommitTS(r.GetEndTs()) > published || r.GetWithLineage()
	case *pb.WatchRequest:
		return r.AfterTs == nil || engine.CommitTS(r.GetAfterTs()) > published
	case *pb.DiffRequest:
		return !(here(r.GetTo()) && (r.GetFrom() == nil || here(r.GetFrom())))
	case *pb.ListLeasesRequest: // its pages are each of now
		return true
	}
	if p, is := req.(interface{ GetPageToken() string }); is && p.GetPageToken() != "" {
		at, known := page.Point(p.GetPageToken())
		return !known || at > published
	}
	if a, is := req.(interface{ GetAt() *pb.At }); is && here(a.GetAt()) {
		return false
	}
	return !s.staleEnough(req, published)
}

// stale is a request that may be answered from a state that is not the newest.
type stale interface {
	GetMaxStalenessMs() uint64
	GetMinReadTs() uint64
	GetAt() *pb.At
}

// staleEnough reports whether a read may be answered from what is here.
func (s *Service) staleEnough(req any, published engine.CommitTS) bool {
	r, is := req.(stale)
	if !is || r.GetMaxStalenessMs() == 0 || r.GetAt() != nil || engine.CommitTS(r.GetMinReadTs()) > published {
		return false
	}
	return uint64(s.config.Cluster.Status().Lag.Milliseconds()) <= r.GetMaxStalenessMs()
}
