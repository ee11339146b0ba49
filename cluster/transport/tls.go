package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Files are where a member's certificate, its key and the CA of all members' certificates are, in PEM. They are
// read at every handshake, so that they can be renewed under a running member. The zero value is no TLS.
type Files struct{ Cert, Key, CA string }

// Load reads the files.
func (f Files) Load() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("the peers' certificate %s with the key %s cannot be loaded: %w", f.Cert, f.Key, err)
	}
	text, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, fmt.Errorf("the peers' CA cannot be loaded: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("the peers' CA cannot be loaded: %s has no certificate in PEM", f.CA)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{cert},
		RootCAs: roots, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
		SessionTicketsDisabled: true, // a resumed session would rest on the CA of when it began
	}, nil
}

// credentials are of both sides of a connection.
func (f Files) credentials() credentials.TransportCredentials {
	if f == (Files{}) {
		return insecure.NewCredentials()
	}
	return fresh{credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13}), f}
}

// fresh reads the files at every handshake.
type fresh struct {
	credentials.TransportCredentials
	files Files
}

func (f fresh) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	config, err := f.files.Load()
	if err != nil {
		return nil, nil, err
	}
	return credentials.NewTLS(config).ClientHandshake(ctx, authority, conn)
}

func (f fresh) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	config, err := f.files.Load()
	if err != nil {
		return nil, nil, err
	}
	return credentials.NewTLS(config).ServerHandshake(conn)
}

func (f fresh) Clone() credentials.TransportCredentials {
	return fresh{f.TransportCredentials.Clone(), f.files}
}
