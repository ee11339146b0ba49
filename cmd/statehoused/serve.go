package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"syscall"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
)

// serve runs the daemon until ctx ends.
func serve(ctx context.Context, s *settings, errOut io.Writer, exit func(int)) error {
	log, err := newLogger(s, errOut)
	if err != nil {
		return usageError{err}
	}
	tlsConfig, err := loadTLS(s)
	if err != nil {
		return usageError{err}
	}
	if err := checkExposure(s); err != nil {
		return usageError{err}
	}
	setMemory(s)

	halt := func(reason error) {
		log.Error("storage cannot be trusted any more; exiting without acknowledging anything else", "reason", reason)
		exit(exitStorage)
	}
	env, closeEnv := newEnv(s, halt, log)
	defer closeEnv()
	config := server.Config{
		Engine: engine.Options{
			Dir: s.dataDir, Limits: s.limits, Tuning: engine.Tuning{CacheBytes: s.cacheMB << 20}, NoSync: !s.fsyncOnCommit && !s.useMemory, Volatile: s.useMemory, MustExist: s.mustExist && !s.useMemory,
		},
		Version: version, GitSHA: gitSHA, Token: s.token,
		Requests: s.requests, Streams: s.streams, Connections: s.connections, RequestBytes: s.requestBytes,
		Capture: server.Capture{Dir: s.ringDir(), MaxBytes: s.captureMB << 20, On: s.capture, Settings: s.told},
	}.WithDefaults()
	if err := shareFiles(openFiles(), &config.Engine.Tuning, &config, log); err != nil {
		return usageError{err}
	}
	service, err := server.Assemble(env, config)
	if err != nil {
		return err
	}
	listeners, err := listen(ctx, s, log)
	if err != nil {
		return errors.Join(err, service.Close())
	}
	st := service.Engine().Status()
	for _, l := range listeners {
		log.Info("listening", "address", l.Addr().String(), "tls", tlsConfig != nil, "token", s.token != "")
	}
	log.Info("serving", "version", version, "data_dir", dirName(s), "durable", st.Durable, "last_commit_ts", uint64(st.Published), "store", st.StoreID)
	stopDumps := dumpOnSignal(service, log)
	err = service.Serve(ctx, tlsConfig, listeners...)
	stopDumps()
	if cerr := service.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		log.Info("stopped", "last_commit_ts", uint64(service.Engine().Published()))
	}
	return err
}

func newEnv(s *settings, halt func(error), log *slog.Logger) (engine.Env, func()) {
	tell := func(event string, attrs ...any) { log.Warn(event, attrs...) }
	if s.useMemory {
		log.Warn("everything is kept in memory and gone at exit")
		s.dataDir = "memory"
		return engine.MemoryEnv(halt, tell), func() {}
	}
	if !s.fsyncOnCommit {
		log.Warn("commits are acknowledged before they are on disk: a crash of the machine may lose them")
	}
	return engine.OSEnv(halt, tell)
}

func dirName(s *settings) string {
	if s.useMemory {
		return "(memory)"
	}
	return s.dataDir
}

func newLogger(s *settings, w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.logLevel)); err != nil {
		return nil, fmt.Errorf("--log-level is debug, info, warn or error, not %q", s.logLevel)
	}
	o := &slog.HandlerOptions{Level: level}
	if s.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return slog.New(slog.NewTextHandler(w, o)), nil
}

func loadTLS(s *settings) (*tls.Config, error) {
	if s.tlsCert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(s.tlsCert, s.tlsKey)
	if err != nil {
		return nil, fmt.Errorf("the certificate cannot be loaded: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}

// checkExposure refuses to be reachable from elsewhere without TLS and a token.
func checkExposure(s *settings) error {
	host, _, err := net.SplitHostPort(s.listenAddr)
	if err != nil {
		return fmt.Errorf("--listen-addr %q is not host:port: %v", s.listenAddr, err)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	if s.allowInsecure || s.tlsCert != "" && s.token != "" {
		return nil
	}
	return fmt.Errorf("%s can be reached from other machines: give --tls-cert, --tls-key and --token-file, or say --allow-insecure if the network itself is trusted", s.listenAddr)
}

// listen opens the listeners. "localhost" may resolve to either family, so it
// means both loopback addresses, as far as the machine has them.
func listen(ctx context.Context, s *settings, log *slog.Logger) ([]net.Listener, error) {
	host, port, _ := net.SplitHostPort(s.listenAddr)
	hosts := []string{host}
	if host == "localhost" {
		hosts = []string{"127.0.0.1", "::1"}
	}
	var out []net.Listener
	var lc net.ListenConfig
	for _, h := range hosts {
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(h, port))
		if err != nil {
			if len(out) > 0 && !errors.Is(err, syscall.EADDRINUSE) {
				log.Debug("a loopback address is not available", "address", h, "error", err)
				continue
			}
			for _, open := range out {
				_ = open.Close()
			}
			return nil, listenError(s.listenAddr, err)
		}
		_, port, _ = net.SplitHostPort(l.Addr().String()) // port 0: the same for all
		out = append(out, l)
	}
	return out, nil
}

func listenError(addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is in use: is another statehoused running? Choose another with --listen-addr", addr)
	}
	return fmt.Errorf("cannot listen on %s: %w", addr, err)
}

// setMemory trades memory for fewer garbage collections: measured 1.4 times the
// requests. GOGC and GOMEMLIMIT in the environment win.
func setMemory(s *settings) {
	if strings.TrimSpace(os.Getenv("GOGC")) == "" {
		debug.SetGCPercent(400)
	}
	if strings.TrimSpace(os.Getenv("GOMEMLIMIT")) == "" {
		debug.SetMemoryLimit(s.memoryLimitMB << 20)
	}
}
