package reach

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"google.golang.org/grpc/credentials"
)

// The reasons why a handshake fails although a server answers. gRPC passes errors of the
// handshake on as text only, so Disagreement looks for these texts, which people read, too.
const (
	notTrusted = "the daemon's certificate is not trusted: "
	speaksNo   = "the daemon does not speak TLS, and this client is to: "
	wantsTLS   = "the daemon wants TLS, and this client does not speak it: "
)

// Disagreement finds the handshake's error in a status message and removes what gRPC
// wrapped around it.
func Disagreement(message string) (said string, found bool) {
	for _, why := range []string{notTrusted, speaksNo, wantsTLS} {
		if i := strings.Index(message, why); i >= 0 {
			said, _, _ = strings.Cut(message[i:], "\n")
			return strings.TrimRight(strings.ReplaceAll(said, `\"`, `"`), `"`), true
		}
	}
	return "", false
}

// explaining wraps credentials to say why a handshake fails.
type explaining struct {
	credentials.TransportCredentials
}

func (e explaining) Clone() credentials.TransportCredentials {
	return explaining{e.TransportCredentials.Clone()}
}

func (e explaining) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := e.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		return nil, nil, explainHandshake(err)
	}
	if e.Info().SecurityProtocol == "insecure" {
		conn = &firstWord{Conn: conn}
	}
	return conn, info, nil
}

func explainHandshake(err error) error {
	var untrusted *tls.CertificateVerificationError
	var notTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &untrusted):
		return fmt.Errorf(notTrusted+"%w", untrusted.Err)
	case errors.As(err, &notTLS):
		return fmt.Errorf(speaksNo+"%w", err)
	}
	return err
}

// firstWord is a plain-text connection that looks at the first bytes from the daemon. A
// daemon that speaks TLS answers with a TLS record or closes the connection.
type firstWord struct {
	net.Conn
	heard bool // only the reader of the connection uses it
}

func (f *firstWord) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	if f.heard {
		return n, err
	}
	const alert = 0x15 // a record of TLS; a frame of HTTP/2 starts with its length, here 0
	switch f.heard = true; {
	case n > 0 && p[0] == alert:
		return 0, errors.New(wantsTLS + "it answered with an alert of TLS")
	case n == 0 && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		return 0, fmt.Errorf("it hung up without a word, as one does that wants TLS: %w", err)
	}
	return n, err
}
