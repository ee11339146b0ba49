package mcp

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Inside connects to a gRPC service in this process that is served as an http.Handler: for a daemon whose Handler
// calls itself as any client does. stop ends the connection.
func Inside(service http.Handler) (conn *grpc.ClientConn, stop func(), err error) {
	l := &pipes{made: make(chan net.Conn), closed: make(chan struct{})}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	s := &http.Server{Handler: service, Protocols: protocols}
	go func() { _ = s.Serve(l) }() // it ends when l is closed
	conn, err = grpc.NewClient("passthrough:inside", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(l.dial))
	if err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	return conn, func() { _ = errors.Join(conn.Close(), s.Close()) }, nil
}

// pipes is a listener whose connections are made in this process.
type pipes struct {
	made   chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (p *pipes) dial(ctx context.Context, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.made <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.made:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return inside{} }

// inside is the address of a service in this process.
type inside struct{}

func (inside) Network() string { return "inside" }
func (inside) String() string  { return "inside" }
