package client_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
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
		{"token to this machine by scheme", client.Config{Address: "http://localhost:1", Token: "t"}, true},
		{"token to another machine", client.Config{Address: "example.com:1", Token: "t"}, false},
		{"token to a name that only looks like this machine", client.Config{Address: "localhost.example.com:1", Token: "t"}, false},
		{"token to another machine, allowed", client.Config{Address: "example.com:1", Token: "t", PlaintextToken: true}, true},
		{"token over TLS", client.Config{Address: "example.com:1", Token: "t", TLS: &tls.Config{}}, true},
		{"token over TLS that the scheme asks for", client.Config{Address: "https://example.com:1", Token: "t"}, true},
		{"token by a scheme to another machine", client.Config{Address: "http://example.com:1", Token: "t"}, false},
		{"TLS against the scheme", client.Config{Address: "http://localhost:1", TLS: &tls.Config{}}, false},
		{"authorities against the scheme", client.Config{Address: "http://localhost:1", CAFile: "config_test.go"}, false},
		{"no address", client.Config{Address: ":1"}, false},
		{"another port", client.Config{Address: "localhost:119536"}, false},
		{"a host that looks like a scheme of gRPC's", client.Config{Address: "unix:50051"}, true},
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
	put(t, d.dialAt("https://"+d.addr, client.Config{CAFile: caFile, Token: "secret"}), "a", "k", `{}`)
	text, err := os.ReadFile(caFile)
	if err == nil {
		err = os.WriteFile(caFile, append([]byte("\ufeff"), text...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	put(t, d.dial(client.Config{CAFile: caFile, Token: "secret"}), "a", "k", `{}`)
	plain := d.dial(client.Config{Token: "secret", FailFast: true})
	if _, err := plain.Get(t.Context(), "a", "k"); !errors.Is(err, client.ErrUnavailable) || !strings.Contains(err.Error(), "wants TLS") {
		t.Errorf("without TLS: %v", err)
	}
}

// Sides that do not agree on TLS never will: every kind of call ends at once, with the
// cause in one line, however long it could have tried.
func TestNoAgreementOnTLS(t *testing.T) {
	cert, _ := selfSigned(t)
	_, other := selfSigned(t)
	encrypted := startDaemon(t, server.Config{}, &tls.Config{Certificates: []tls.Certificate{cert}})
	plain := startDaemon(t, server.Config{}, nil)
	noPause := func(context.Context, time.Duration) error {
		t.Error("it is tried again")
		return errors.New("enough")
	}
	for _, tt := range []struct {
		name, says string
		d          *daemon
		config     client.Config
	}{
		{"unknown authority", "not trusted: x509: certificate signed by unknown authority", encrypted, client.Config{TLS: &tls.Config{}}},
		{"another authority", "not trusted: x509: certificate signed by unknown authority", encrypted, client.Config{CAFile: other}},
		{"another name", "not trusted: x509:", encrypted, client.Config{TLS: &tls.Config{ServerName: "elsewhere"}}},
		{"a daemon without TLS", "does not speak TLS", plain, client.Config{TLS: &tls.Config{}}},
	} {
		tt.config.Sleep = noPause
		c := tt.d.dial(tt.config)
		_, read := c.Get(t.Context(), "a", "k")
		_, begun := c.Begin(t.Context(), 0)
		_, written := c.Transact(t.Context(), client.Batch{Writes: []client.Write{client.Put("a", "k", []byte(`{}`))}})
		_, ran := c.RunTxn(t.Context(), func(*client.Txn) error { return nil })
		_, replayed := drain(c.Replay(t.Context(), client.ReplayQuery{Agent: "a"}))
		_, watched := drain(c.Watch(t.Context(), client.WatchQuery{Agent: "a"}))
		for what, err := range map[string]error{"Get": read, "Begin": begun, "Transact": written, "RunTxn": ran, "Replay": replayed, "Watch": watched} { // any order
			if !errors.Is(err, client.ErrTLS) || !errors.Is(err, client.ErrUnavailable) || errors.Is(err, client.ErrOutcomeUnknown) {
				t.Errorf("%s: %s: %v", tt.name, what, err)
			} else if !strings.Contains(err.Error(), tt.says) || strings.ContainsAny(err.Error(), "\n\\") {
				t.Errorf("%s: %s says %q", tt.name, what, err)
			}
		}
	}
}

// A namespace that got lost on the way must not become "default".
func TestInNoNamespace(t *testing.T) {
	d := startDaemon(t, server.Config{}, nil)
	c := d.dial(client.Config{Namespace: "mine"})
	lost := c.In("")
	_, read := lost.Get(t.Context(), "a", "k")
	_, written := lost.Transact(t.Context(), client.Batch{Writes: []client.Write{client.Put("a", "k", []byte(`{}`))}})
	_, begun := lost.Begin(t.Context(), 0)
	_, replayed := drain(lost.Replay(t.Context(), client.ReplayQuery{AllAgents: true}))
	_, listed := drain(lost.ListAgents(t.Context(), ""))
	for what, err := range map[string]error{"Get": read, "Transact": written, "Begin": begun, "Replay": replayed, "ListAgents": listed} { // any order
		if !errors.Is(err, client.ErrInvalid) || !strings.Contains(err.Error(), "empty namespace") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if names, err := drain(c.ListNamespaces(t.Context())); err != nil || len(names) > 0 {
		t.Errorf("namespaces: %v %v", names, err)
	}
	put(t, c.In("other"), "a", "k", `{}`)
}

// Every try that is made again is told, at debug level.
func TestRetriesAreLogged(t *testing.T) {
	d := startDaemon(t, server.Config{}, nil)
	var log bytes.Buffer
	c := d.over(first(2, "GetState", loseRequest), client.Config{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if _, err := c.Get(t.Context(), "a", "k"); err != nil || strings.Count(log.String(), "trying again") != 2 || !strings.Contains(log.String(), "lost on purpose") {
		t.Errorf("%v:\n%s", err, log.String())
	}
}

// TestProxies runs itself in a process that has proxies in its environment: Go reads
// them once. What goes to this machine must not pass one, and neither may a token in
// plain text.
func TestProxies(t *testing.T) {
	if proxy := os.Getenv("TEST_PROXY"); proxy != "" {
		proxied(t)
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var asked atomic.Int64
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			line, _ := bufio.NewReader(conn).ReadString('\n')
			if !strings.Contains(line, "proxied.invalid") {
				t.Errorf("the proxy is asked for %q", line)
			}
			asked.Add(1)
			_ = conn.Close()
		}
	}()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestProxies$", "-test.v")
	cmd.Env = append(os.Environ(), "TEST_PROXY=yes", "NO_PROXY=", "no_proxy=")
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "grpc_proxy"} {
		cmd.Env = append(cmd.Env, name+"=http://"+l.Addr().String())
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if asked.Load() == 0 {
		t.Error("the proxy is never asked: what is tested?")
	}
}

func proxied(t *testing.T) {
	d := startDaemon(t, server.Config{Token: "secret"}, nil)
	_, port, _ := net.SplitHostPort(d.addr)
	for _, host := range []string{"127.0.0.1", "localhost", "LOCALHOST", "[::ffff:127.0.0.1]", "http://127.0.0.1"} {
		if _, err := d.dialAt(host+":"+port, client.Config{Token: "secret"}).Get(t.Context(), "a", "k"); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	for host, config := range map[string]client.Config{ // any order
		"proxied.invalid": {TLS: &tls.Config{}, Token: "secret"}, "plain.invalid": {Token: "secret", PlaintextToken: true},
	} {
		config.FailFast = true
		if _, err := d.dialAt(host, config).Get(t.Context(), "a", "k"); !errors.Is(err, client.ErrUnavailable) {
			t.Errorf("%s: %v", host, err)
		}
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
