package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"statehouse.dev/statehouse/server"
)

// reloader takes up what has changed in the files and the environment's names that the
// daemon was started with: the token, the certificate with its key, and the level of
// the log. Everything else needs a restart, and is named.
//
// Either all of it is taken up or nothing: half of a change that belongs together may
// lock everybody out.
type reloader struct {
	read  func() (*settings, error) // the settings as they would be if the daemon started now
	log   *slog.Logger
	level *slog.LevelVar

	// Of the reload before, or of the start. Only reload changes them.
	current *settings
	cert    atomic.Pointer[tls.Certificate] // nil without TLS
}

// tlsConfig hands each new handshake the certificate of the time; nil without TLS.
func (r *reloader) tlsConfig() *tls.Config {
	if r.cert.Load() == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return r.cert.Load(), nil },
	}
}

func (r *reloader) reload(service *server.Service) {
	next, cert, err := r.next()
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
	note("certificate", cert != nil && !slices.EqualFunc(cert.Certificate, r.cert.Load().Certificate, bytes.Equal))
	note("log-level", next.level != r.current.level)

	service.SetToken(next.token)
	if cert != nil {
		r.cert.Store(cert)
	}
	r.level.Set(next.level)
	restart := r.current.needRestart(next)
	kept := *r.current
	kept.token, kept.level = next.token, next.level
	r.current = &kept
	r.log.Info("reloaded", "changed", listed(changed), "needs_restart", listed(restart))
}

// next is what would be taken up.
func (r *reloader) next() (*settings, *tls.Certificate, error) {
	next, err := r.read()
	if err != nil {
		return nil, nil, err
	}
	// Whether there is TLS, and where the daemon listens, is decided at the start.
	facing := *r.current
	facing.token, facing.tokenFile = next.token, next.tokenFile
	if err := checkExposure(&facing); err != nil {
		return nil, nil, err
	}
	if r.cert.Load() == nil || next.tlsCert == "" {
		return next, nil, nil
	}
	cert, err := loadCertificate(next)
	return next, cert, err
}

// reloadable are the settings that a reload takes up. Of the files their names can
// change, too.
var reloadable = []string{"token", "token-file", "tls-cert", "tls-key", "log-level"}

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

// loadCertificate reads the certificate and its key; nil when there is to be none.
func loadCertificate(s *settings) (*tls.Certificate, error) {
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
	return &cert, nil
}

// readText reads a file of text, without the mark that some editors put in front.
func readText(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	return bytes.TrimPrefix(data, []byte("\ufeff")), err
}
