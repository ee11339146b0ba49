package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// authority is a CA of client certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour), Subject: pkix.Name{CommonName: "clients"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return &authority{t, cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// client makes a certificate of a common name and, unless it is empty, a URI.
func (a *authority) client(name, uri string) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour), Subject: pkix.Name{CommonName: name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if uri != "" {
		u, err := url.Parse(uri)
		must(a.t, err)
		template.URIs = []*url.URL{u}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	must(a.t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// as is a client with a certificate, on a connection of its own.
func (d *daemon) as(roots *x509.CertPool, certs ...tls.Certificate) pb.StatehouseServiceClient {
	conn := d.dial(grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots, Certificates: certs})))
	d.t.Cleanup(func() { _ = conn.Close() })
	return pb.NewStatehouseServiceClient(conn)
}

// principal is who a client is to the daemon.
func principal(t *testing.T, c pb.StatehouseServiceClient) (string, error) {
	st, err := c.GetStatus(call(t), &pb.GetStatusRequest{})
	return st.GetPrincipal(), err
}

// A client certificate is asked for, its subject says who asks, and what that may do is said by a
// key that was made for it. A new CA is taken up without a signal, a broken one is not.
func TestClientCertificates(t *testing.T) {
	dir := t.TempDir()
	data, ca := filepath.Join(dir, "data"), filepath.Join(dir, "ca.pem")
	first := newAuthority(t)
	must(t, os.WriteFile(ca, first.pem, 0o600))
	cert, key, roots := certificate(t)
	args := []string{"--tls-cert", cert, "--tls-key", key, "--tls-client-ca", ca}
	ann, agent := first.client("ann", ""), first.client("agent", "spiffe://example.org/agent")

	// Without keys a certificate lets in, and names who asks.
	d := launch(t, nil, append([]string{"--data-dir", data, "--listen-addr", "127.0.0.1:0"}, args...)...)
	if _, err := principal(t, d.as(roots)); err == nil || detail(err) != 0 {
		t.Errorf("a handshake without a certificate: %v", err)
	}
	if _, err := principal(t, d.as(roots, newAuthority(t).client("ann", ""))); err == nil || detail(err) != 0 {
		t.Errorf("a handshake with a certificate of another CA: %v", err)
	}
	for want, c := range map[string]tls.Certificate{"ann": ann, "spiffe://example.org/agent": agent} { // in any order
		if got, err := principal(t, d.as(roots, c)); err != nil || got != want {
			t.Errorf("the principal is %q, %v; want %q", got, err, want)
		}
	}
	d.terminate()

	// With keys it does what its key says, and without one nothing.
	create := command(nil, "key", "create", "--data-dir", data, "--name", "spiffe://example.org/agent", "--certificate", "--grant", "read:*")
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d = launch(t, nil, append([]string{"--data-dir", data, "--listen-addr", "127.0.0.1:0"}, args...)...)
	if _, err := principal(t, d.as(roots, ann)); detail(err) != pb.ErrorCode_UNAUTHENTICATED || !strings.Contains(err.Error(), "ann") {
		t.Errorf("a certificate without a key: %v", err)
	}
	c := d.as(roots, agent)
	if _, err := c.GetState(call(t), &pb.GetStateRequest{AgentId: "a", Key: "k"}); err != nil {
		t.Error(err)
	}
	if _, err := c.Transact(call(t), &pb.TransactRequest{TxnId: "x", Operations: []*pb.TransactOperation{put("a", "k", `{}`)}}); detail(err) != pb.ErrorCode_PERMISSION_DENIED {
		t.Errorf("a write of who may read: %v", err)
	}

	second := newAuthority(t)
	must(t, os.WriteFile(ca, []byte("nonsense"), 0o600))
	says := func(what string) {
		t.Helper()
		eventually(t, "the daemon says "+what, func() error {
			if !strings.Contains(d.log(), what) {
				return fmt.Errorf("not yet:\n%s", d.log())
			}
			return nil
		})
	}
	says("the CA of clients cannot be loaded")
	if _, err := principal(t, d.as(roots, agent)); err != nil {
		t.Errorf("with a broken file the CA from before: %v", err)
	}
	must(t, os.WriteFile(ca, second.pem, 0o600))
	says(`msg=reloaded changed="client CA"`)
	if _, err := principal(t, d.as(roots, agent)); err == nil || detail(err) != 0 {
		t.Errorf("a handshake with a certificate of the CA from before: %v", err)
	}
	if got, err := principal(t, d.as(roots, second.client("agent", "spiffe://example.org/agent"))); err != nil || got != "spiffe://example.org/agent" {
		t.Errorf("a certificate of the new CA: %q, %v", got, err)
	}
	if n := strings.Count(d.log(), "nothing was reloaded"); n != 1 {
		t.Errorf("a broken file was told %d times", n)
	}
	d.terminate()
}

// Beyond loopback keys do as well as a token, and nothing does for them.
func TestExposedWithKeys(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	cert, key, _ := certificate(t)
	args := []string{"--data-dir", data, "--listen-addr", "0.0.0.0:0", "--tls-cert", cert, "--tls-key", key}
	fails(t, exitUsage, []string{"other machines", "statehoused key create"}, nil, args...)
	if _, err := os.Stat(data); err == nil {
		t.Error("a store was made where the daemon cannot serve")
	}
	start(t, data).terminate()
	fails(t, exitUsage, []string{"other machines"}, nil, args...)
	if out, err := command(nil, "key", "create", "--data-dir", data, "--name", "ops", "--grant", "admin:*").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	launch(t, nil, args...).terminate()
}
