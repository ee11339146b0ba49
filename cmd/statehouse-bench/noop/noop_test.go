package noop

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"statehouse.dev/statehouse/client/session"
	"statehouse.dev/statehouse/cmd/statehouse-bench/wire"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// serve starts one; ended is closed when it has.
func serve(t *testing.T) (conn *grpc.ClientConn, end func(), ended chan struct{}) {
	t.Helper()
	alive, kill := io.Pipe()
	said, out := io.Pipe()
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		if err := Serve(context.Background(), alive, out); err != nil {
			t.Error(err)
		}
	}()
	line := make([]byte, 100)
	n, err := said.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimSpace(strings.TrimPrefix(string(line[:n]), "listening on "))
	conn, err = grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, func() { _ = kill.Close() }, ended
}

// It takes what a daemon takes of what is measured of both, in calls and over sessions, and
// ends with the process that started it.
func TestServe(t *testing.T) {
	conn, end, ended := serve(t)
	over := session.New(conn, session.Options{})
	unary := wire.New(100, 100, conn)
	sessions := unary.Over(over)
	for _, name := range []string{wire.Read, wire.Commit, wire.Batch, wire.History} {
		for kind, c := range map[string]*wire.Client{"calls": unary, "a session": sessions} { // order cannot matter
			n, err := c.Ops()[name](t.Context(), 0, 0)
			want := map[string]int{wire.Batch: 100, wire.History: 5000}[name]
			if err != nil || n < max(want, 1) {
				t.Errorf("%s over %s: %d, %v", name, kind, n, err)
			}
		}
	}
	if _, err := sessions.Version(t.Context()); err == nil {
		t.Error("it does something")
	}
	end()
	<-ended
	if _, err := sessions.Ops()[wire.Read](t.Context(), 0, 0); err == nil {
		t.Error("a session that has ended answers")
	}
}

// Callers of a session have their own answers, many a message.
func TestSession(t *testing.T) {
	conn, end, ended := serve(t)
	over := session.New(conn, session.Options{})
	stub := pb.NewStatehouseServiceClient(over)
	var wg sync.WaitGroup
	for caller := range 20 {
		wg.Go(func() {
			for range 50 {
				req := &pb.TransactRequest{Operations: make([]*pb.TransactOperation, caller)}
				for i := range req.Operations {
					req.Operations[i] = &pb.TransactOperation{Key: "k"}
				}
				if resp, err := stub.Transact(t.Context(), req); err != nil || len(resp.GetVersions()) != caller {
					t.Errorf("caller %d: %d, %v", caller, len(resp.GetVersions()), err)
				}
			}
		})
	}
	wg.Wait()
	over.Close()
	end()
	<-ended
}
