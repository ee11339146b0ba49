// Package admin is for operators: access keys, backups, retention, erasure, and what is going on in a
// daemon. It goes over the connection of a client of package client, and its errors are those.
package admin

import (
	"context"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/client"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Client asks a daemon what operators ask.
type Client struct {
	c    *client.Client
	stub pb.AdminServiceClient
}

// New asks over the connection of c, which stays the caller's to close.
func New(c *client.Client) *Client {
	return &Client{c: c, stub: pb.NewAdminServiceClient(c.Connection())}
}

// ask calls a unary method, within the client's timeout. It is not repeated.
func ask[Q, A any](ctx context.Context, c *Client, method func(context.Context, Q, ...grpc.CallOption) (A, error), request Q) (A, error) {
	ctx, cancel := c.c.Bounded(ctx)
	defer cancel()
	answer, err := method(ctx, request)
	return answer, client.Failure(ctx, err)
}
