package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/server"
)

func TestToken(t *testing.T) {
	d := startDaemon(t, server.Config{Token: "secret"}, nil)
	for token, want := range map[string]error{"secret": nil, "wrong": client.ErrUnauthenticated, "": client.ErrUnauthenticated} {
		c := d.dial(client.Config{Token: token})
		if _, err := c.Get(t.Context(), "a", "k"); !errors.Is(err, want) {
			t.Errorf("token %q: a read gives %v", token, err)
		}
		if _, err := drain(c.Replay(t.Context(), client.ReplayQuery{Agent: "a"})); !errors.Is(err, want) {
			t.Errorf("token %q: a stream gives %v", token, err)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    client.Config
		ok   bool
	}{
		{"zero", client.Config{}, true},
		{"token to this machine", client.Config{Address: "[::1]:1", Token: "t"}, true},
		{"token to this machine by scheme", client.Config{Address: "dns:///localhost:1", Token: "t"}, true},
		{"token to a socket", client.Config{Address: "unix:///run/s.sock", Token: "t"}, true},
		{"token to another machine", client.Config{Address: "example.com:1", Token: "t"}, false},
		{"token to a name that only looks like this machine", client.Config{Address: "localhost.example.com:1", Token: "t"}, false},
		{"token to another machine, allowed", client.Config{Address: "example.com:1", Token: "t", PlaintextToken: true}, true},
		{"token over TLS", client.Config{Address: "example.com:1", Token: "t", TLS: &tls.Config{}}, true},
		{"a token that is no header", client.Config{Token: "a\nb"}, false},
		{"no such file", client.Config{CAFile: "/does/not/exist"}, false},
		{"not a certificate", client.Config{CAFile: "config_test.go"}, false},
	} {
		c, err := client.Dial(tt.c)
		if tt.ok != (err == nil) || err != nil && !errors.Is(err, client.ErrInvalid) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if c != nil {
			_ = c.Close()
		}
	}
}

func TestTLS(t *testing.T) {
	cert, caFile := selfSigned(t)
	d := startDaemon(t, server.Config{Token: "secret"}, &tls.Config{Certificates: []tls.Certificate{cert}})
	put(t, d.dial(client.Config{CAFile: caFile, Token: "secret"}), "a", "k", `{}`)
	plain := d.dial(client.Config{Token: "secret", FailFast: true})
	if _, err := plain.Get(t.Context(), "a", "k"); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("without TLS: %v", err)
	}
	stranger := d.dial(client.Config{TLS: &tls.Config{}, Token: "secret", FailFast: true})
	if _, err := stranger.Get(t.Context(), "a", "k"); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("a certificate of an unknown authority: %v", err)
	}
}

func selfSigned(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
