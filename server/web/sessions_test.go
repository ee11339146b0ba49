package web

import (
	"net"
	"strings"
	"testing"
)

// TestCookiesOfPorts: two daemons on a host, which share a browser's cookies, do not take each other's for theirs.
func TestCookiesOfPorts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if name := newSessions([]net.Listener{l}).cookie; !strings.HasSuffix(name, "_"+port) {
		t.Errorf("on port %s the cookie is %q", port, name)
	}
	if name := newSessions(nil).cookie; strings.Contains(name, port) {
		t.Errorf("without a port it is %q", name)
	}
}
