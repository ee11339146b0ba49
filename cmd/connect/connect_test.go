package connect

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"statehouse.dev/statehouse/client"
)

// flags are those of a tool that was given these.
func flags(t *testing.T, env, context map[string]string, args ...string) (*Flags, *pflag.FlagSet, error) {
	t.Helper()
	f := &Flags{Getenv: func(name string) string { return env[name] }, Err: io.Discard, Context: context, ContextName: "prod"}
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.String("namespace", "default", "")
	f.Register(set)
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f, set, f.Complete(set)
}

// TestPrecedence: a flag counts before the environment, the environment before the context,
// the context before what is built in.
func TestPrecedence(t *testing.T) {
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte("filed"), 0o600); err != nil {
		t.Fatal(err)
	}
	prod := map[string]string{"address": "db:1", "namespace": "n1", "token": "kept", "tls": "true"}
	for _, c := range []struct {
		what         string
		env, context map[string]string
		args         []string
		want         string // address, namespace, token
		from         string // of the three
	}{
		{"nothing", nil, nil, nil, "localhost:50051 default -", "default default default"},
		{"a context", nil, prod, nil, "db:1 n1 kept", "context prod, context prod, context prod"},
		{"the environment", map[string]string{"STATEHOUSE_NAMESPACE": "n2", "STATEHOUSE_TOKEN": "told"}, prod, nil, "db:1 n2 told", "context prod, STATEHOUSE_NAMESPACE, STATEHOUSE_TOKEN"},
		{"a flag", map[string]string{"STATEHOUSE_NAMESPACE": "n2", "STATEHOUSE_TOKEN": "told"}, prod, []string{"--namespace=n3", "--token-file=" + tokenFile}, "db:1 n3 filed", ""},
		{"a token's file before the context", map[string]string{"STATEHOUSE_TOKEN_FILE": tokenFile}, prod, nil, "db:1 n1 filed", ""},
		{"the same daemon", nil, prod, []string{"--address=db:1", "--tls"}, "db:1 n1 kept", ""},
		{"another daemon gets no token", nil, prod, []string{"--address=db2:1"}, "db2:1 n1 -", ""},
		{"nor one of the environment", map[string]string{"STATEHOUSE_ADDRESS": "db:2"}, prod, nil, "db:2 n1 -", ""},
	} {
		f, set, err := flags(t, c.env, c.context, c.args...)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		config, err := f.Config()
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		token := config.Token
		if token == "" {
			token = "-"
		}
		if got := strings.Join([]string{config.Address, set.Lookup("namespace").Value.String(), token}, " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
		settings := f.Settings(set)
		if from := settings[0].From + ", " + settings[1].From + ", " + settings[2].From; c.from != "" && strings.ReplaceAll(from, ",", "") != strings.ReplaceAll(c.from, ",", "") {
			t.Errorf("%s: from %s, want %s", c.what, from, c.from)
		}
		for _, s := range settings {
			if strings.Contains(s.Value, "kept") || strings.Contains(s.Value, "told") {
				t.Errorf("%s: %+v tells the token", c.what, s)
			}
		}
		if elsewhere := strings.HasPrefix(c.want, "db2") || strings.HasPrefix(c.want, "db:2"); c.context != nil && (config.TLS == nil) != elsewhere {
			t.Errorf("%s: TLS %v", c.what, config.TLS)
		}
	}
}

// TestContradictions are refused.
func TestContradictions(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		args []string
		want string
	}{
		{nil, []string{"--tls-cert=c"}, "go together"},
		{map[string]string{"STATEHOUSE_CLIENT_KEY": "k"}, nil, "go together"},
		{nil, []string{"--tls=false", "--tls-cert=c", "--tls-key=k"}, "contradict"},
		{nil, []string{"--timeout=0s"}, "more than 0"},
		{nil, []string{"--namespace="}, "is empty"},
	} {
		if _, _, err := flags(t, c.env, nil, c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v %v: %v", c.env, c.args, err)
		}
	}
	f, _, err := flags(t, nil, map[string]string{"address": "db:1", "tls": "perhaps"})
	if err == nil || !strings.Contains(err.Error(), `context prod: tls: "perhaps" is not true or false`) {
		t.Error(f, err)
	}
}

// TestClientCertificate: a daemon that asks for one gets it.
func TestClientCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pair := certificate(t, cert, key)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	shown := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			shown <- err.Error()
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if err := conn.(*tls.Conn).Handshake(); err != nil {
			shown <- err.Error()
			return
		}
		shown <- conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
	}()
	f, _, err := flags(t, map[string]string{"STATEHOUSE_CLIENT_KEY": key}, nil, "--address", l.Addr().String(), "--ca-file", cert, "--tls-cert", cert)
	if err != nil {
		t.Fatal(err)
	}
	config, err := f.Config()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() { _ = c.Health(t.Context()) }() // it is no daemon that hangs up
	if got := <-shown; got != "agent 7" {
		t.Errorf("the daemon saw %q", got)
	}
	f, _, err = flags(t, nil, nil, "--tls-cert", key, "--tls-key", key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Config(); err == nil || !strings.Contains(err.Error(), "cannot be loaded") {
		t.Error(err)
	}
}

func certificate(t *testing.T, cert, key string) tls.Certificate {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	template.Subject.CommonName = "agent 7"
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: text}} { // any order
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}
