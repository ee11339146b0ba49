package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// member makes the files of a member's certificate, and returns the flags that name them.
func (a *authority) member(name string) []string {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour), Subject: pkix.Name{CommonName: name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	must(a.t, err)
	private, err := x509.MarshalECPrivateKey(key)
	must(a.t, err)
	dir := a.t.TempDir()
	files := map[string][]byte{
		"cert": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		"key":  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}),
		"ca":   a.pem,
	}
	var flags []string
	for name, text := range files { // any order
		path := filepath.Join(dir, name)
		must(a.t, os.WriteFile(path, text, 0o600))
		flags = append(flags, "--peer-tls-"+name, path)
	}
	return flags
}

// says waits until a daemon's log has some words.
func (d *daemon) says(words string) {
	d.t.Helper()
	eventually(d.t, "the daemon says "+words, func() error {
		if log := d.log(); !strings.Contains(log, words) {
			return fmt.Errorf("not yet:\n%s", log)
		}
		return nil
	})
}

// TestClusterCertificates: members show certificates of one CA to each other, and nobody else is let in: not with
// one of another CA, and not without.
func TestClusterCertificates(t *testing.T) {
	s := newSeveral(t)
	ca := newAuthority(t)
	for i := range s.more {
		s.more[i] = ca.member(fmt.Sprint("member-", i+1))
	}
	s.start(0)
	for i, stranger := range [][]string{newAuthority(t).member("stranger"), nil} {
		cmd := command(nil, append([]string{"--data-dir", filepath.Join(t.TempDir(), "data"), "--listen-addr", "127.0.0.1:0", "--metrics-listen-addr", "off", "--peer-listen-addr", s.peers[2], "--join", s.peers[0]}, stranger...)...)
		d := begun(t, cmd)
		d.says("cannot join yet")
		if log := d.log(); strings.Contains(log, "msg=serving") {
			t.Errorf("stranger %d is let in:\n%s", i, log)
		}
		d.kill()
	}
	if log := s.at[0].Load().log(); strings.Contains(log, "a member joins") {
		t.Errorf("a stranger has joined:\n%s", log)
	}
	s.start(1, 2)
	leader := s.at[s.leader(0, 1, 2)].Load()
	_, err := leader.Transact(call(t), &pb.TransactRequest{TxnId: "x", Operations: []*pb.TransactOperation{put("a", "k", `{}`)}})
	must(t, err)
	s.stop()
}

// TestClusterStrangers: a member of another cluster is not heard, a directory does not take the place of another
// that was given its member, nor is one let in that is not named, and each is told why.
func TestClusterStrangers(t *testing.T) {
	s := newSeveral(t)
	s.start(0, 1)
	s.leader(0, 1)
	args := func(dir, peer string, more ...string) []string {
		return append([]string{"--data-dir", dir, "--listen-addr", "127.0.0.1:0", "--metrics-listen-addr", "off", "--disk-reserve-mb", "1", "--peer-listen-addr", peer}, more...)
	}
	other := freeAddrs(t, 1)[0]
	fails(t, exitFailed, []string{"let this member join", "cluster add " + other, s.peers[2]}, nil, args(filepath.Join(t.TempDir(), "data"), other, "--join", s.peers[0])...)

	// Its disk is gone.
	s.at[1].Load().kill()
	fails(t, exitFailed, []string{"another directory already"}, nil, args(filepath.Join(t.TempDir(), "data"), s.peers[1], "--join", s.peers[0])...)

	// It is found at another address, and by others than it was founded with.
	fails(t, exitUsage, []string{"member 2", s.peers[1], other}, nil, args(s.dirs[1], other)...)
	foreign := start(t, filepath.Join(t.TempDir(), "data"), "--metrics-listen-addr", "off", "--disk-reserve-mb", "1", "--peer-listen-addr", s.peers[1], "--cluster-init", strings.Join([]string{other, s.peers[1], s.peers[0]}, ","))
	s.at[0].Load().says("a member of cluster")
	foreign.says("a member of cluster")
	if log := foreign.log(); strings.Contains(log, "a peer is reached") {
		t.Errorf("a member of another cluster is heard:\n%s", log)
	}
	foreign.kill()

	l, err := net.Listen("tcp", s.peers[1])
	must(t, err)
	fails(t, exitFailed, []string{s.peers[1], "in use", "--peer-listen-addr"}, nil, args(s.dirs[1], s.peers[1])...)
	_ = l.Close()
	s.start(1)
	s.leader(0, 1)
}

// TestClusterSettings: what does not go together is told before anything is begun.
func TestClusterSettings(t *testing.T) {
	three := "127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003"
	for _, c := range []struct{ says, flags string }{
		{"--peer-listen-addr", "--cluster-init " + three},
		{"--peer-listen-addr", "--peer-tls-ca ca.pem"},
		{"give one of them", "--peer-listen-addr 127.0.0.1:7001 --join 127.0.0.1:7002 --cluster-init " + three},
		{"--use-memory", "--peer-listen-addr 127.0.0.1:7001 --use-memory --cluster-init " + three},
		{"--fsync-on-commit", "--peer-listen-addr 127.0.0.1:7001 --fsync-on-commit=false --cluster-init " + three},
		{"other machines", "--peer-listen-addr 0.0.0.0:7001 --peer-advertise-addr 127.0.0.1:7001 --cluster-init " + three},
		{"go together", "--peer-listen-addr 127.0.0.1:7001 --peer-tls-cert c.pem --cluster-init " + three},
		{"no address that others", "--peer-listen-addr 127.0.0.1:0 --join 127.0.0.1:7002"},
		{"--peer-listen-addr", "--peer-listen-addr 127.0.0.1 --join 127.0.0.1:7002"},
		{"--client-advertise-addr", "--peer-listen-addr 127.0.0.1:7001 --client-advertise-addr :7001 --join 127.0.0.1:7002"},
		{"must be one of them", "--peer-listen-addr 127.0.0.1:7009 --cluster-init " + three},
		{"names 2 members", "--peer-listen-addr 127.0.0.1:7001 --cluster-init 127.0.0.1:7001,127.0.0.1:7002"},
		{"twice", "--peer-listen-addr 127.0.0.1:7001 --cluster-init 127.0.0.1:7001,127.0.0.1:7001,127.0.0.1:7002"},
		{"three times --heartbeat", "--peer-listen-addr 127.0.0.1:7001 --election-timeout 200ms --cluster-init " + three},
		{"is of no cluster yet", "--peer-listen-addr 127.0.0.1:7001 --data-dir " + filepath.Join(t.TempDir(), "data")},
	} {
		flags := append(strings.Fields(c.flags), "--metrics-listen-addr", "off", "--listen-addr", "127.0.0.1:0")
		fails(t, exitUsage, []string{c.says}, nil, flags...)
	}
}
