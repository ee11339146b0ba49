package reach

import (
	"context"

	"google.golang.org/grpc"
)

// Nowhere is a connection on which every call fails with err.
func Nowhere(err error) grpc.ClientConnInterface { return refusing{err} }

type refusing struct{ err error }

func (r refusing) Invoke(context.Context, string, any, any, ...grpc.CallOption) error { return r.err }

func (r refusing) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, r.err
}
