package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"statehouse.dev/statehouse/server/wiretest"
)

var httpURL = regexp.MustCompile(`msg=http url=(https?)://(\S+)`)

// overHTTP is where a daemon serves HTTP.
func (d *daemon) overHTTP() (scheme, addr string) {
	d.t.Helper()
	m := httpURL.FindStringSubmatch(d.log())
	if m == nil {
		d.t.Fatalf("the daemon does not serve HTTP:\n%s", d.log())
	}
	return m[1], m[2]
}

// TestHTTP: the listener is off unless it is asked for, serves beside gRPC, and ends with the daemon.
func TestHTTP(t *testing.T) {
	d := launch(t, nil, "--use-memory", "--listen-addr", "127.0.0.1:0", "--metrics-listen-addr", "off")
	if strings.Contains(d.log(), "http url=") {
		t.Errorf("it serves HTTP by itself:\n%s", d.log())
	}
	d.terminate()

	d = launch(t, nil, "--use-memory", "--listen-addr", "127.0.0.1:0", "--http-listen-addr", "127.0.0.1:0")
	scheme, addr := d.overHTTP()
	resp, err := http.Get(scheme + "://" + addr + "/v1/watch?agent_id=a&after_ts=0")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || scheme != "http" {
		t.Errorf("%s %s", scheme, resp.Status)
	}
	d.terminate()
	if end, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(end), "the daemon is stopping") {
		t.Errorf("the watch ends with %q %v", end, err)
	}
	if d.code != exitOK {
		t.Errorf("exit code %d:\n%s", d.code, d.log())
	}
}

// TestHTTPS: beyond loopback it needs TLS and something to show, takes the daemon's certificate, also when
// that is renewed, and answers to the names it was given.
func TestHTTPS(t *testing.T) {
	certFile, keyFile, pool := certificate(t)
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := launch(t, nil, "--use-memory", "--listen-addr", "127.0.0.1:0", "--http-listen-addr", "0.0.0.0:0", "--http-allowed-hosts", "store.example",
		"--tls-cert", certFile, "--tls-key", keyFile, "--token-file", tokenFile)
	scheme, addr := d.overHTTP()
	addr = "127.0.0.1" + addr[strings.LastIndex(addr, ":"):]
	get := func(host string, config *tls.Config) (status int, proto string, err error) {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: config.NextProtos == nil}}
		defer client.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+addr+"/v1/status", nil)
		if err != nil {
			return 0, "", err
		}
		req.Header.Set("Authorization", "Bearer s3cret")
		if host != "" {
			req.Host = host
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, "", err
		}
		return resp.StatusCode, resp.Proto, resp.Body.Close()
	}
	for host, want := range map[string]int{"": http.StatusOK, "store.example": http.StatusOK, "evil.example": http.StatusMisdirectedRequest} { // any order
		if status, proto, err := get(host, &tls.Config{RootCAs: pool}); err != nil || status != want || proto != "HTTP/2.0" {
			t.Errorf("host %q: %d %s %v", host, status, proto, err)
		}
	}
	if _, proto, err := get("", &tls.Config{RootCAs: pool, NextProtos: []string{"http/1.1"}}); err != nil || proto != "HTTP/1.1" {
		t.Errorf("HTTP/1.1: %s %v", proto, err)
	}
	newCert, newKey, newPool := certificate(t)
	for from, to := range map[string]string{newCert: certFile, newKey: keyFile} { // both, before the daemon looks: any order
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	wiretest.Eventually(t, "the new certificate is shown", func() error {
		_, _, err := get("", &tls.Config{RootCAs: newPool})
		return err
	})
	d.terminate()
}
