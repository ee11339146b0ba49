package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"statehouse.dev/statehouse/server"
)

// reloader takes up what has changed in the files and the environment's names that the
// daemon was started with: the token, the certificate with its key, the CA of clients, and
// the level of the log. Everything else needs a restart, and is named.
//
// Either all of it is taken up or nothing: half of a change that belongs together may
// lock everybody out.
type reloader struct {
	read  func() (*settings, error) // the settings as they would be if the daemon started now
	log   *slog.Logger
	level *slog.LevelVar

	// Of the reload before, or of the start. Only reload changes them.
	current *settings
	shown   atomic.Pointer[tlsFiles] // nil without TLS
	seen    [sha256.Size]byte        // of the files that are watched
	mu      sync.Mutex               // reloads come one after the other
}

// tlsFiles are what a handshake needs.
type tlsFiles struct {
	cert    *tls.Certificate
	clients *x509.CertPool // who vouches for clients; nil: they need no certificate
	roots   []byte         // the text of clients
}

// tlsConfig hands each new handshake the certificates of the time, for these protocols; nil without TLS.
func (r *reloader) tlsConfig(protocols ...string) *tls.Config {
	if r.shown.Load() == nil {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			c := r.shown.Load()
			config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protocols, Certificates: []tls.Certificate{*c.cert}}
			if c.clients != nil {
				// No tickets: a resumed session would rest on the CAs of when it began.
				config.ClientAuth, config.ClientCAs, config.SessionTicketsDisabled = tls.RequireAndVerifyClientCert, c.clients, true
			}
			return config, nil
		},
	}
}

func (r *reloader) reload(service *server.Service) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = r.current.watched()
	next, shown, err := r.next(service.HasKeys())
	if err != nil {
		r.log.Warn("nothing was reloaded, everything stays as it was", "reason", err)
		return
	}
	var changed []string
	note := func(what string, differs bool) {
		if differs {
			changed = append(changed, what)
		}
	}
	note("token", next.token != r.current.token)
	note("certificate", shown != nil && !slices.EqualFunc(shown.cert.Certificate, r.shown.Load().cert.Certificate, bytes.Equal))
	note("client CA", shown != nil && !bytes.Equal(shown.roots, r.shown.Load().roots))
	note("log-level", next.level != r.current.level)

	service.SetToken(next.token)
	if shown != nil {
		r.shown.Store(shown)
	}
	r.level.Set(next.level)
	restart := r.current.needRestart(next)
	kept := *r.current
	kept.token, kept.level = next.token, next.level
	kept.tokenFile, kept.tlsCert, kept.tlsKey, kept.tlsClientCA = next.tokenFile, next.tlsCert, next.tlsKey, next.tlsClientCA
	r.current = &kept
	r.log.Info("reloaded", "changed", listed(changed), "needs_restart", listed(restart))
}

// watchEvery is how often the files are looked at.
const watchEvery = 2 * time.Second

// watch reloads when a file of credentials has changed, until ctx ends: who renews certificates may
// not know of the daemon.
func (r *reloader) watch(ctx context.Context, service *server.Service) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.mu.Lock()
			changed := r.current.watched() != r.seen
			r.mu.Unlock()
			if changed {
				r.reload(service)
			}
		case <-ctx.Done():
			return
		}
	}
}

// watched is a digest of the files that are watched, as they are now.
func (s *settings) watched() [sha256.Size]byte {
	h := sha256.New()
	for _, path := range []string{s.tokenFile, s.tlsCert, s.tlsKey, s.tlsClientCA} {
		if path == "" {
			continue
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(h, "%q %d %v\n", path, len(data), err != nil)
		h.Write(data)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// next is what would be taken up.
func (r *reloader) next(hasKeys bool) (*settings, *tlsFiles, error) {
	next, err := r.read()
	if err != nil {
		return nil, nil, err
	}
	// Whether there is TLS, and where the daemon listens, is decided at the start.
	facing := *r.current
	facing.token, facing.tokenFile = next.token, next.tokenFile
	if err := checkExposure(&facing, hasKeys); err != nil {
		return nil, nil, err
	}
	now := r.shown.Load()
	if now == nil || next.tlsCert == "" {
		return next, nil, nil
	}
	shown, err := loadCredentials(next)
	if err == nil && (shown.clients == nil) != (now.clients == nil) {
		return nil, nil, errors.New("whether clients must have certificates is decided at the start: restart for --tls-client-ca")
	}
	return next, shown, err
}

// reloadable are the settings that a reload takes up. Of the files their names can
// change, too.
var reloadable = []string{"token", "token-file", "tls-cert", "tls-key", "tls-client-ca", "log-level"}

// needRestart are the names of the settings that differ in next and are not taken up.
func (s *settings) needRestart(next *settings) (names []string) {
	for name, value := range s.values { // sorted below
		now, is := next.values[name] // --help and --version are no settings
		if is && now != value && !slices.Contains(reloadable, name) {
			names = append(names, name)
		}
	}
	if (s.tlsCert == "") != (next.tlsCert == "") {
		names = append(names, "tls-cert", "tls-key")
	}
	slices.Sort(names)
	return names
}

func listed(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// loadCredentials reads what handshakes need; nil when there is to be no TLS.
func loadCredentials(s *settings) (*tlsFiles, error) {
	if s.tlsCert == "" {
		return nil, nil
	}
	chain, err := readText(s.tlsCert)
	if err != nil {
		return nil, fmt.Errorf("the certificate cannot be loaded: %w", err)
	}
	key, err := readText(s.tlsKey)
	if err != nil {
		return nil, fmt.Errorf("the certificate's key cannot be loaded: %w", err)
	}
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("the certificate %s with the key %s cannot be loaded: %w", s.tlsCert, s.tlsKey, err)
	}
	c := &tlsFiles{cert: &cert}
	if s.tlsClientCA == "" {
		return c, nil
	}
	if c.roots, err = readText(s.tlsClientCA); err != nil {
		return nil, fmt.Errorf("the CA of clients cannot be loaded: %w", err)
	}
	c.clients = x509.NewCertPool()
	if !c.clients.AppendCertsFromPEM(c.roots) {
		return nil, fmt.Errorf("the CA of clients cannot be loaded: %s has no certificate in PEM", s.tlsClientCA)
	}
	return c, nil
}

// readText reads a file of text, without the mark that some editors put in front.
func readText(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	return bytes.TrimPrefix(data, []byte("\ufeff")), err
}
