package conns

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"statehouse.dev/statehouse/server/wiretest"
)

// The words of waiting: see wiretest.
const patience = wiretest.Patience

var (
	errNotYet  = wiretest.ErrNotYet
	eventually = wiretest.Eventually
	timeout    = wiretest.Timeout
)

// rig is a gRPC server on a table. Its one service answers Echo with what it was
// sent, Probe too but also on connections that are kept back, Hold only when it is let
// go on, Stubborn the same though its client has gone, Converse when its client has sent all, and Flood by one message that is larger than a connection takes unread.
type rig struct {
	t       *testing.T
	table   *Table
	addr    string
	secure  *tls.Config
	release chan struct{}
	served  atomic.Int64
	mu      sync.Mutex
	notes   []string
}

var limits = Limits{Connections: 8, KeptBack: 4, Message: 1 << 20, Bytes: 4 << 20, Arriving: 16, Body: patience}

func newRig(t *testing.T, l Limits, secure bool, change ...func(net.Listener) net.Listener) *rig {
	t.Helper()
	before := runtime.NumGoroutine()
	r := &rig{t: t, release: make(chan struct{})}
	if secure {
		r.secure = certificate(t)
	}
	r.table = New(l, func(event string, attrs ...any) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.notes = append(r.notes, fmt.Sprint(event, attrs))
	})
	g := grpc.NewServer(r.table.Options(r.secure)...)
	desc := grpc.ServiceDesc{ServiceName: "test", HandlerType: (*any)(nil)}
	for name, f := range map[string]func(grpc.ServerStream, *wrapperspb.BytesValue) error{ // in any order
		"Echo": r.echo, "Probe": r.echo, "Hold": r.hold, "Flood": r.flood, "Stubborn": r.stubborn,
	} {
		desc.Streams = append(desc.Streams, grpc.StreamDesc{StreamName: name, Handler: r.handler(name == "Probe", f)})
	}
	desc.Streams = append(desc.Streams, grpc.StreamDesc{StreamName: "Converse", Handler: func(_ any, ss grpc.ServerStream) error { return r.converse(ss) }, ClientStreams: true})
	g.RegisterService(&desc, r)
	l4, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l4.Addr().String()
	for _, c := range change {
		l4 = c(l4)
	}
	done := make(chan error, 1)
	go func() { done <- g.Serve(r.table.Listener(l4, r.secure)) }()
	t.Cleanup(func() {
		g.Stop()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		eventually(t, "everything is given back", func() error {
			r.table.mu.Lock()
			defer r.table.mu.Unlock()
			if n := len(r.table.places) + len(r.table.leaving); n != 0 || r.table.count != [kinds]int{} || len(r.table.of) != 0 {
				return fmt.Errorf("%d connections, %v, %v", n, r.table.count, r.table.of)
			}
			if b := r.table.bodies; b.held.Load() != 0 || b.given.Load() != 0 || b.late.Load() != 0 || r.waiting() != 0 {
				return fmt.Errorf("%d bytes held, %d given, %d late, %d waiting", b.held.Load(), b.given.Load(), b.late.Load(), r.waiting())
			}
			if n := runtime.NumGoroutine(); n > before {
				return fmt.Errorf("%d goroutines, %d before", n, before)
			}
			return nil
		})
	})
	return r
}

func (r *rig) handler(vital bool, serve func(grpc.ServerStream, *wrapperspb.BytesValue) error) grpc.StreamHandler {
	return func(_ any, ss grpc.ServerStream) error {
		s := FromContext(ss.Context())
		if !vital {
			if err := s.Restricted(); err != nil {
				return status.Error(codes.ResourceExhausted, err.Error())
			}
		}
		if err := s.Await(ss.Context()); err != nil {
			var refusal Refusal
			if errors.As(err, &refusal) {
				return status.Error(codes.ResourceExhausted, err.Error())
			}
			return status.FromContextError(err).Err()
		}
		defer s.Finish()
		r.served.Add(1)
		var m wrapperspb.BytesValue
		if err := ss.RecvMsg(&m); err != nil {
			return err
		}
		return serve(ss, &m)
	}
}

func (r *rig) echo(ss grpc.ServerStream, m *wrapperspb.BytesValue) error { return ss.SendMsg(m) }

func (r *rig) hold(ss grpc.ServerStream, m *wrapperspb.BytesValue) error {
	select {
	case <-r.release:
		return ss.SendMsg(m)
	case <-ss.Context().Done():
		return ss.Context().Err()
	}
}

func (r *rig) stubborn(ss grpc.ServerStream, m *wrapperspb.BytesValue) error {
	<-r.release
	return ss.SendMsg(m)
}

func (r *rig) flood(ss grpc.ServerStream, _ *wrapperspb.BytesValue) error {
	large := wrapperspb.Bytes(make([]byte, 3<<20))
	return errors.Join(ss.SendMsg(large), ss.SendMsg(large)) // the second waits for the first to be sent
}

// dial makes a client that connects from an address of its own.
func (r *rig) dial(from string) *grpc.ClientConn {
	r.t.Helper()
	creds := insecure.NewCredentials()
	if r.secure != nil {
		creds = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
	}
	again := grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 5 * time.Millisecond, Multiplier: 1.2, MaxDelay: 50 * time.Millisecond}, MinConnectTimeout: patience}
	conn, err := grpc.NewClient("passthrough:///"+r.addr, grpc.WithTransportCredentials(creds), grpc.WithConnectParams(again), grpc.WithContextDialer(func(ctx context.Context, to string) (net.Conn, error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		return d.DialContext(ctx, "tcp", to)
	}))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

const here, there = "127.0.0.1", "127.0.0.2"

func call(ctx context.Context, conn *grpc.ClientConn, method string, opts ...grpc.CallOption) error {
	return conn.Invoke(ctx, "/test/"+method, wrapperspb.Bytes([]byte("x")), &wrapperspb.BytesValue{}, opts...)
}

// occupy makes n connections from an address, each with a request under way.
func (r *rig) occupy(from string, n int) {
	r.t.Helper()
	for range n {
		before := r.served.Load()
		conn := r.dial(from)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = call(ctx, conn, "Hold")
		}()
		r.t.Cleanup(func() { cancel(); <-done })
		eventually(r.t, "a request is under way", func() error {
			if r.served.Load() == before {
				return errNotYet
			}
			return nil
		})
	}
}

// waiting is how many bodies are waited for.
func (r *rig) waiting() int {
	r.table.bodies.mu.Lock()
	defer r.table.bodies.mu.Unlock()
	return r.table.bodies.waiting.Len()
}

func (r *rig) noted(what string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.notes {
		if bytes.Contains([]byte(n), []byte(what)) {
			return true
		}
	}
	return false
}

func certificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// raw is a client that speaks HTTP/2 as it likes.
type raw struct {
	net.Conn
	t  *testing.T
	fr *http2.Framer
	id uint32 // of the last stream
}

func (r *rig) raw() *raw {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	if r.secure != nil {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	w := &raw{Conn: c, t: r.t, fr: http2.NewFramer(c, c)}
	w.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, _ = io.WriteString(c, http2.ClientPreface)
	_ = w.fr.WriteSettings()
	return w
}

// begin sends the header of a request, and returns its stream.
func (w *raw) begin(method string, fields ...string) uint32 {
	w.id += max(1, 2*min(w.id, 1))
	_ = w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: w.id, BlockFragment: wiretest.Header("/test/"+method, fields...), EndHeaders: true})
	return w.id
}

// answer is what ended a stream or the connection.
type answer struct {
	code, message string // of the status
	reset         http2.ErrCode
	wasReset      bool
	goAway        *http2.GoAwayFrame
	debug         string
}

// until reads until the stream has ended, or the connection: with stream 0 only that.
func (w *raw) until(stream uint32) (a answer, err error) {
	for {
		f, err := w.fr.ReadFrame()
		if err != nil {
			return a, err
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			a.goAway, a.debug = f, string(f.DebugData())
		case *http2.MetaHeadersFrame:
			if f.StreamID != stream {
				continue
			}
			for _, h := range f.Fields {
				switch h.Name {
				case "grpc-status":
					a.code = h.Value
				case "grpc-message":
					a.message = h.Value
				}
			}
			if f.StreamEnded() {
				return a, nil
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == stream {
				a.reset, a.wasReset = f.ErrCode, true
				return a, nil
			}
		}
	}
}
