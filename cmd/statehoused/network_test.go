package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// localhost may resolve to either family: both are listened on, at one port.
func TestBothLoopbackAddresses(t *testing.T) {
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("this machine has no ::1")
	} else {
		_ = l.Close()
	}
	d := launch(t, []string{"STATEHOUSE_USE_MEMORY=1"}, "--listen-addr", "localhost:0")
	if len(d.addrs) != 2 {
		t.Fatalf("it listens on %v", d.addrs)
	}
	_, p1, _ := net.SplitHostPort(d.addrs[0])
	_, p2, _ := net.SplitHostPort(d.addrs[1])
	if p1 != p2 {
		t.Errorf("two ports: %v", d.addrs)
	}
	for _, host := range []string{"127.0.0.1", "::1", "localhost"} {
		conn, err := grpc.NewClient(net.JoinHostPort(host, p1), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := pb.NewStatehouseServiceClient(conn).Health(call(t), &pb.HealthRequest{})
		if err != nil || got.Status != "ok" {
			t.Errorf("%s: %v %v", host, got, err)
		}
		_ = conn.Close()
	}
	d.terminate()
}

// certificate makes a self-signed one for localhost.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "EC PRIVATE KEY", Bytes: keyDER}} { // any order
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(cert)
	return certFile, keyFile, pool
}

func TestTLSAndToken(t *testing.T) {
	certFile, keyFile, pool := certificate(t)
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// With all three it may face any network.
	d := launch(t, nil, "--use-memory", "--listen-addr", "0.0.0.0:0", "--tls-cert", certFile, "--tls-key", keyFile, "--token-file", tokenFile)
	if len(d.addrs) != 1 {
		t.Fatalf("it listens on %v:\n%s", d.addrs, d.log())
	}
	if strings.Contains(d.log(), "s3cret") {
		t.Error("the log tells the token")
	}
	_, port, _ := net.SplitHostPort(d.addrs[0])
	d.addrs[0] = "127.0.0.1:" + port
	health := func(creds credentials.TransportCredentials, authorization string) error {
		conn := d.dial(grpc.WithTransportCredentials(creds))
		defer conn.Close()
		ctx, cancel := context.WithTimeout(call(t), 5*time.Second)
		defer cancel()
		if authorization != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", authorization)
		}
		_, err := pb.NewStatehouseServiceClient(conn).Health(ctx, &pb.HealthRequest{})
		return err
	}
	good := func() credentials.TransportCredentials { return credentials.NewTLS(&tls.Config{RootCAs: pool}) }
	if err := health(good(), "Bearer s3cret"); err != nil {
		t.Errorf("TLS and token: %v", err)
	}
	for _, authorization := range []string{"", "Bearer", "Bearer s3cre", "Bearer s3cret\n", "s3cret"} {
		if err := health(good(), authorization); status.Code(err) != codes.Unauthenticated && status.Code(err) != codes.Internal {
			t.Errorf("token %q: %v", authorization, err)
		} else if status.Code(err) == codes.Internal && !strings.Contains(err.Error(), "header") {
			t.Errorf("token %q: %v", authorization, err)
		}
	}
	for what, creds := range map[string]credentials.TransportCredentials{ // independent of each other: any order
		"plain text": insecure.NewCredentials(), "a client that does not know the certificate": credentials.NewTLS(&tls.Config{}),
		"TLS 1.1": credentials.NewTLS(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}),
	} {
		if err := health(creds, "Bearer s3cret"); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", what, err)
		}
	}
	d.terminate()

	// On loopback one may do with less.
	d = launch(t, []string{"STATEHOUSE_TOKEN=s3cret"}, "--use-memory", "--listen-addr", "127.0.0.1:0")
	d.connect()
	if err := health(insecure.NewCredentials(), "Bearer s3cret"); err != nil {
		t.Errorf("token only: %v", err)
	}
	if _, err := d.Health(call(t), &pb.HealthRequest{}); detail(err) != pb.ErrorCode_UNAUTHENTICATED {
		t.Errorf("token only, without it: %v", err)
	}
	d.terminate()
	d = launch(t, nil, "--use-memory", "--listen-addr", "0.0.0.0:0", "--allow-insecure")
	if len(d.addrs) != 1 {
		t.Errorf("--allow-insecure: %s", d.log())
	}
}

// The variables of docs/CONTRACT.md, as existing deployments set them.
func TestWireEnvironment(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "from-env")
	d := launch(t, []string{"STATEHOUSE_LISTEN_ADDR=127.0.0.1:0", "STATEHOUSE_DATA_DIR=" + dir, "STATEHOUSE_USE_MEMORY=0", "STATEHOUSE_FSYNC_ON_COMMIT=1", "STATEHOUSE_TX_TIMEOUT_MS=250"})
	d.connect()
	begun, err := d.BeginTransaction(call(t), &pb.BeginTransactionRequest{})
	if err != nil || begun.TimeoutMs != 250 {
		t.Errorf("STATEHOUSE_TX_TIMEOUT_MS: %v %v", begun, err)
	}
	eventually(t, "the transaction expires", func() error {
		got, err := d.GetTransaction(call(t), &pb.GetTransactionRequest{TxnId: begun.TxnId})
		if err != nil || got.State != pb.TransactionState_TRANSACTION_STATE_EXPIRED {
			return errNotYet
		}
		return nil
	})
	if _, err := d.Transact(call(t), &pb.TransactRequest{TxnId: "x", Operations: []*pb.TransactOperation{put("a", "k", `{}`)}}); err != nil {
		t.Error(err)
	}
	if st, err := d.GetStatus(call(t), &pb.GetStatusRequest{}); err != nil || !st.Durable || st.PublishedTs != 1 || st.StoreId == "" || st.DiskFreeBytes == 0 {
		t.Errorf("status: %v %v", st, err)
	}
	d.terminate()
	if r := verified(t, dir); r.Commits != 1 {
		t.Errorf("STATEHOUSE_DATA_DIR: %+v", r)
	}

	d = launch(t, []string{"STATEHOUSE_LISTEN_ADDR=127.0.0.1:0", "STATEHOUSE_DATA_DIR=" + dir, "STATEHOUSE_FSYNC_ON_COMMIT=0"})
	d.connect()
	if st, err := d.GetStatus(call(t), &pb.GetStatusRequest{}); err != nil || st.Durable || !strings.Contains(d.log(), "before they are on disk") {
		t.Errorf("STATEHOUSE_FSYNC_ON_COMMIT=0: %v %v", st, err)
	}
	d.terminate()

	d = launch(t, []string{"STATEHOUSE_LISTEN_ADDR=127.0.0.1:0", "STATEHOUSE_DATA_DIR=" + dir, "STATEHOUSE_USE_MEMORY=true"})
	d.connect()
	if st, err := d.GetStatus(call(t), &pb.GetStatusRequest{}); err != nil || st.PublishedTs != 0 || st.Durable || !strings.Contains(d.log(), "in memory") {
		t.Errorf("STATEHOUSE_USE_MEMORY=true: %v %v", st, err)
	}
	d.terminate()
}

// What stands beside the service, and what must not.
func TestNeighbours(t *testing.T) {
	d := start(t, filepath.Join(t.TempDir(), "data"))
	health := healthpb.NewHealthClient(d.conn)
	for _, service := range []string{"", "statehouse.v1.StatehouseService"} {
		if got, err := health.Check(call(t), &healthpb.HealthCheckRequest{Service: service}); err != nil || got.Status != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("health of %q: %v %v", service, got, err)
		}
	}
	if _, err := health.Check(call(t), &healthpb.HealthCheckRequest{Service: "nobody"}); status.Code(err) != codes.NotFound {
		t.Errorf("health of nobody: %v", err)
	}
	stream, err := reflectionpb.NewServerReflectionClient(d.conn).ServerReflectionInfo(call(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	var names []string
	for _, s := range answer.GetListServicesResponse().GetService() {
		names = append(names, s.Name)
	}
	if list := strings.Join(names, " "); err != nil || !strings.Contains(list, "statehouse.v1.StatehouseService") || !strings.Contains(list, "grpc.health.v1.Health") {
		t.Errorf("reflection: %v %v", names, err)
	}
	_ = stream.CloseSend()
	got, err := d.Version(call(t), &pb.VersionRequest{})
	if err != nil || got.Version != "1.2.3" || got.GitSha != "abcdef" {
		t.Errorf("version: %v %v", got, err)
	}
	// No compressor stands in the daemon: a bomb is refused before it is opened.
	begun, err := d.BeginTransaction(call(t), &pb.BeginTransactionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	bomb := &pb.WriteRequest{TxnId: begun.TxnId, AgentId: "a", Key: "k", ValueJson: []byte(`{` + strings.Repeat(" ", 1<<20-2) + `}`)}
	if _, err := d.Write(call(t), bomb, grpc.UseCompressor(gzip.Name)); status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "gzip") {
		t.Errorf("a compressed request: %v", err)
	}
	if _, err := d.Write(call(t), bomb); err != nil {
		t.Errorf("the same, plain: %v", err)
	}
	bomb.ValueJson = append(bomb.ValueJson, make([]byte, 4<<20)...)
	if _, err := d.Write(call(t), bomb); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("5 MiB: %v", err)
	}
	long := metadata.AppendToOutgoingContext(call(t), "x-long", strings.Repeat("x", 64<<10))
	if _, err := d.Health(long, &pb.HealthRequest{}); err == nil {
		t.Error("64 KiB of headers are let in")
	}
	if _, err := d.Health(call(t), &pb.HealthRequest{}); err != nil {
		t.Errorf("after all that: %v", err)
	}
	d.terminate()
}
