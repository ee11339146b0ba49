package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"statehouse.dev/statehouse/mcp"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/web"
)

// httpOff is the address of no listener.
const httpOff = "off"

func (s *settings) servesHTTP() bool { return s.httpAddr != httpOff }

// checkHTTP checks what the service over HTTP is given.
func (s *settings) checkHTTP() error {
	for _, host := range s.allowedHosts() {
		if strings.ContainsAny(host, "/*@ ") || strings.Contains(host, "://") {
			return fmt.Errorf("--http-allowed-hosts has %q, which is no name of a host: names are listed one by one, without scheme, path or wildcard", host)
		}
	}
	if !s.servesHTTP() {
		if s.httpHosts != "" {
			return errors.New("--http-allowed-hosts needs --http-listen-addr")
		}
		return nil
	}
	_, err := listenHost(s.httpAddr)
	return ofHTTP(err)
}

func (s *settings) allowedHosts() (hosts []string) {
	for host := range strings.SplitSeq(s.httpHosts, ",") {
		if host = strings.TrimSpace(host); host != "" {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// ofHTTP is an error about an address to listen on, of the flag that says it.
func ofHTTP(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(strings.ReplaceAll(err.Error(), "--listen-addr", "--http-listen-addr"))
}

// listenBoth opens the listeners of gRPC, and those of the service over HTTP unless it is off.
func listenBoth(ctx context.Context, s *settings, log *slog.Logger) (listeners, overHTTP []net.Listener, err error) {
	if listeners, err = listen(ctx, s, log); err != nil || !s.servesHTTP() {
		return listeners, nil, err
	}
	to := *s
	to.listenAddr = s.httpAddr
	if overHTTP, err = listen(ctx, &to, log); err != nil {
		closeAll(listeners)
	}
	return listeners, overHTTP, ofHTTP(err)
}

// serveHTTP has the service served on them, too.
func serveHTTP(s *settings, service *server.Service, reloads *reloader, listeners []net.Listener) error {
	if len(listeners) == 0 {
		return nil
	}
	front, err := web.New(web.Config{
		Listeners: listeners, TLS: reloads.tlsConfig("h2", "http/1.1"), AllowedHosts: s.allowedHosts(), Backend: service.Handler(),
		ErrorLog: slog.NewLogLogger(reloads.log.Handler(), slog.LevelDebug),
	})
	if err != nil {
		return err
	}
	// Models call the service as any client does, and each with its own key.
	conn, stop, err := mcp.Inside(service.Handler())
	if err != nil {
		return err
	}
	models := mcp.NewHandler(mcp.HandlerOptions{Conn: conn, Guarded: true, Version: version, Log: borrowedLog(reloads.log, "mcp")})
	front.Handle("/mcp", models)
	front.OnShutdown(func() {
		models.Close()
		stop()
	})
	service.AddFront(front)
	scheme := "http"
	if s.tlsCert != "" {
		scheme = "https"
	}
	for _, l := range listeners {
		reloads.log.Info("http", "url", scheme+"://"+l.Addr().String(), "allowed_hosts", listed(s.allowedHosts()))
	}
	return nil
}
