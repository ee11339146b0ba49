package transport

import (
	"context"
	"io"

	"google.golang.org/grpc"

	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
)

// As is a context for calls to a member, of one that joins.
func As(ctx context.Context, of *clusterpb.JoinResponse, to uint64) context.Context {
	return caller{of.GetClusterId(), of.GetId(), to}.outgoing(ctx)
}

// Fetch reads a file of the store that members begin with, from an offset on, for one that joins.
func Fetch(ctx context.Context, conn *grpc.ClientConn, of *clusterpb.JoinResponse, name string, offset uint64) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	s, err := clusterpb.NewPeerServiceClient(conn).FetchFile(As(ctx, of, of.GetKeeper()), &clusterpb.FetchFileRequest{Name: name, Offset: offset})
	if err != nil {
		cancel()
		return nil, err
	}
	return &file{stream: s, cancel: cancel}, nil
}

// file is one that is being fetched.
type file struct {
	stream clusterpb.PeerService_FetchFileClient
	cancel context.CancelFunc
	left   []byte
}

func (f *file) Read(p []byte) (int, error) {
	for len(f.left) == 0 {
		m, err := f.stream.Recv()
		if err != nil {
			return 0, err
		}
		f.left = m.GetData()
	}
	n := copy(p, f.left)
	f.left = f.left[n:]
	return n, nil
}

func (f *file) Close() error {
	f.cancel()
	return nil
}
