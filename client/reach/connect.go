package reach

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// Options say which daemon is to be reached, and how.
type Options struct {
	Address string // as ParseAddress reads it
	// TLS turns TLS on. CAFile does too, and trusts the authorities in that PEM file
	// instead of the system's.
	TLS    *tls.Config
	CAFile string
	// Token is what callers will send (Authorised). One in plain text may go to another
	// machine only if PlaintextToken says so.
	Token          string
	PlaintextToken bool
}

// How much a daemon may send before it is told that it arrived: on a stream, where it has
// to be read, and on the whole connection, where it need not.
const (
	streamWindow = 1 << 20
	connWindow   = 8 << 20
)

// Connect makes a connection, which dials when it is first used. It fails if the options
// cannot work.
func Connect(o Options) (*grpc.ClientConn, error) {
	if err := CheckToken(o.Token); err != nil {
		return nil, err
	}
	address, creds, err := o.resolve()
	if err != nil {
		return nil, err
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithUserAgent("statehouse-go"),
		// The client finds a restarted daemon within seconds, not after gRPC's two minutes.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		// With pings a watch notices that the other machine is gone.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		// Windows that gRPC need not measure: its estimator pings with every message.
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connWindow),
	}
	// Requests to this machine stay on it. And permission to send a token to one machine in
	// plain text is no permission to show it to a proxy.
	if address.Loopback() || o.Token != "" && creds.Info().SecurityProtocol == "insecure" {
		opts = append(opts, grpc.WithNoProxy())
	}
	// With a scheme, so that a host is not taken for a scheme of gRPC: "unix:50051".
	conn, err := grpc.NewClient("dns:///"+address.String(), opts...)
	if err != nil {
		return nil, fmt.Errorf("a connection to %s cannot be prepared: %w", address, err)
	}
	return conn, nil
}

// resolve returns the address to connect to and the credentials. A scheme in the address
// turns TLS on; it cannot turn off what the options ask for.
func (o *Options) resolve() (Address, credentials.TransportCredentials, error) {
	a, err := ParseAddress(o.Address)
	if err != nil {
		return a, nil, err
	}
	encrypted := o.TLS != nil || o.CAFile != "" || a.Scheme == "https"
	switch {
	case encrypted && a.Scheme == "http":
		return a, nil, fmt.Errorf("the address %s asks for plain text, and the configuration for TLS: write https:// or no scheme, or turn TLS off", o.Address)
	case !encrypted && o.Token != "" && !o.PlaintextToken && !a.Loopback():
		return a, nil, fmt.Errorf("the token would go to %s in plain text: turn TLS on, or allow it if the network itself is trusted", o.Address)
	case !encrypted:
		return a, explaining{insecure.NewCredentials()}, nil
	}
	creds, err := o.credentials()
	return a, explaining{creds}, err
}

func (o *Options) credentials() (credentials.TransportCredentials, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.TLS != nil {
		t = o.TLS.Clone()
	}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("the file of authorities cannot be read: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(bytes.TrimPrefix(pem, []byte("\ufeff"))) { // some editors put it in front
			return nil, fmt.Errorf("%s holds no certificate in PEM form", o.CAFile)
		}
	}
	return credentials.NewTLS(t), nil
}
