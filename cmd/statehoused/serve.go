package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/backup"
	"statehouse.dev/statehouse/server/captures"
)

// process is what serve needs of the process.
type process struct {
	log     *sink
	exit    func(int)
	signals *signals
	reread  func() (*settings, error)
}

// serve runs the daemon until ctx ends.
func (p *process) serve(ctx context.Context, s *settings) error {
	var level slog.LevelVar
	log := newLogger(s, &level, p.log)
	reloads := &reloader{read: p.reread, log: log, level: &level, current: s}
	shown, err := loadCredentials(s)
	if err != nil {
		return usageError{err}
	}
	reloads.shown.Store(shown)
	reloads.seen = s.watched()
	// Keys in the store do as well as a token, but only the store says whether there are any.
	if err := checkExposure(s, s.tlsCert != "" && !s.useMemory); err != nil {
		return usageError{err}
	}
	for _, w := range s.warnings {
		log.Warn(w)
	}
	setMemory(s)

	return p.listenAndServe(ctx, s, &level, reloads)
}

func (p *process) listenAndServe(ctx context.Context, s *settings, level *slog.LevelVar, reloads *reloader) error {
	log := reloads.log
	// Before the store is opened, so that none is made where the daemon cannot serve.
	// Who connects meanwhile waits.
	listeners, overHTTP, err := listenBoth(ctx, s, log)
	if err != nil {
		return err
	}
	forPeers, err := listenForPeers(ctx, s)
	opened := slices.Concat(listeners, overHTTP, forPeers)
	served := false
	defer func() {
		if !served {
			closeAll(opened)
		}
	}()
	if err != nil {
		return err
	}
	halt := func(reason error) {
		log.Error("storage cannot be trusted any more; exiting without acknowledging anything else", "reason", reason)
		p.log.flush()
		p.exit(exitStorage)
	}
	watched, err := watchOver(ctx, s, log)
	if err != nil {
		return err
	}
	defer watched.close()
	env, closeEnv := newEnv(s, halt, log)
	defer closeEnv()
	config := configOf(s)
	config.Meter, config.Debug = watched.meter, log.Debug
	config.Operator = p.operator(s, level, watched)
	if err := shareFiles(s.openFiles(), &config.Engine.Tuning, &config, log); err != nil {
		return usageError{err}
	}
	if err := migrateFirst(env, s, log); err != nil {
		return err
	}
	archiveTo(&config, s, env)
	cluster, err := takePart(ctx, s, env, &config, listeners, log)
	if err != nil {
		return err
	}
	service, err := cluster.assemble(env, config, checkExposure(s, false))
	if err != nil {
		return err
	}
	if err := serveHTTP(s, service, reloads, overHTTP); err != nil {
		return errors.Join(err, service.Close())
	}
	watched.metrics.Attach(service)
	if !s.useMemory {
		warnReadable(log, s.dataDir, s.captureDir)
	}
	served = true
	ctx, stopped := cluster.serve(ctx, forPeers)
	return p.answer(ctx, s, service, reloads, watched, listeners, stopped)
}

// answer serves what was assembled until ctx ends, and closes it.
func (p *process) answer(ctx context.Context, s *settings, service *server.Service, reloads *reloader, watched *watched, listeners []net.Listener, stopped func() error) error {
	log, tlsConfig := reloads.log, reloads.tlsConfig("h2")
	sayServing(log, s, service, tlsConfig != nil, listeners)
	notify := newNotifier(os.Getenv, log)
	notify.tell("READY=1\nSTATUS=serving " + s.listenAddr)
	defer notify.watchdog(service.Engine().Healthy)()
	defer context.AfterFunc(ctx, func() { notify.tell("STOPPING=1") })()
	stopAnswering := p.signals.answer(reloads, service, log)
	err := service.Serve(ctx, tlsConfig, listeners...)
	stopAnswering()
	watched.metrics.Detach()
	if cerr := errors.Join(stopped(), service.Close()); err == nil {
		err = cerr
	}
	if reached := service.Reached(); len(reached) > 0 {
		log.Info("bounds that were reached, and how often", "reached", reached)
	}
	if err == nil {
		log.Info("stopped", "last_commit_ts", uint64(service.Engine().Published()))
	}
	return err
}

func sayServing(log *slog.Logger, s *settings, service *server.Service, tls bool, listeners []net.Listener) {
	st := service.Engine().Status()
	for _, l := range listeners {
		log.Info("listening", "address", l.Addr().String(), "tls", tls, "token", s.token != "", "keys", service.HasKeys(), "client_certificates", s.tlsClientCA != "")
	}
	log.Info("serving", "version", version, "data_dir", dirName(s), "durable", st.Durable, "last_commit_ts", uint64(st.Published), "store", st.StoreID)
}

// assemble opens the store. Where the daemon may serve only if that has keys, exposed says why.
func assemble(env engine.Env, config server.Config, exposed error) (*server.Service, error) {
	if exposed != nil {
		config.Engine.MustExist = true // a store that is made now has none
	}
	service, err := server.Assemble(env, config)
	switch {
	case exposed != nil && errors.Is(err, engine.ErrNoStore):
		return nil, usageError{exposed}
	case exposed != nil && err == nil && !service.HasKeys():
		return nil, errors.Join(usageError{exposed}, service.Close())
	}
	return service, err
}

// configOf is what the settings are to the service, with its defaults.
func configOf(s *settings) server.Config {
	return server.Config{
		Engine: engine.Options{
			Dir: s.dataDir, Limits: s.limits, Tuning: s.caches(), NoSync: !s.fsyncOnCommit && !s.useMemory, Volatile: s.useMemory, MustExist: s.mustExist && !s.useMemory,
			AcceptMissingWitness: s.acceptMissing,
		},
		Version: version, GitSHA: gitSHA, Token: s.token, ClientCertificates: s.tlsClientCA != "", Requests: s.requests, Streams: s.streams, Connections: s.connections,
		RequestBytes: s.requestBytes, UnsentBytes: s.unsentMB << 20,
		Capture: captures.Config{Dir: s.ringDir(), MaxBytes: s.captureMB << 20, On: s.capture, Settings: s.told},
	}.WithDefaults()
}

// archiveTo says where what is committed is archived, if anywhere.
func archiveTo(c *server.Config, s *settings, env engine.Env) {
	if s.archive != "" {
		c.Archive = backup.Directory(engine.OSFiles(env), s.archive)
		c.Archiving = backup.ArchiveOptions{Every: time.Duration(s.archiveEvery) * time.Second, Commits: s.archiveCount}
	}
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close() // nobody has been let in
	}
}

func newEnv(s *settings, halt func(error), log *slog.Logger) (engine.Env, func()) {
	tell := func(event string, attrs ...any) { log.Warn(event, attrs...) }
	if s.useMemory {
		log.Warn("everything is kept in memory and gone at exit")
		s.dataDir = "memory"
		return engine.MemoryEnv(halt, tell), func() {}
	}
	if !s.fsyncOnCommit {
		log.Warn("commits are acknowledged when the system has them, before they are on disk: a crash of the machine may lose the newest")
	}
	return engine.OSEnv(halt, tell)
}

func dirName(s *settings) string {
	if s.useMemory {
		return "(memory)"
	}
	return s.dataDir
}

// checkExposure refuses to be reachable from elsewhere without TLS and something that clients must show.
func checkExposure(s *settings, hasKeys bool) error {
	if err := checkAddress(s, s.listenAddr, hasKeys); err != nil || !s.servesHTTP() {
		return err
	}
	return ofHTTP(checkAddress(s, s.httpAddr, hasKeys))
}

func checkAddress(s *settings, addr string, hasKeys bool) error {
	host, err := listenHost(addr)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	if s.allowInsecure || s.tlsCert != "" && (s.token != "" || s.tlsClientCA != "" || hasKeys) {
		return nil
	}
	return fmt.Errorf("%s can be reached from other machines: give --tls-cert, --tls-key and --token-file (or --tls-client-ca, or make a key with statehoused key create), or say --allow-insecure if the network itself is trusted", addr)
}

// listenHost is the host of an address to listen on, HOST:PORT: empty for every
// address of the machine. Port 0 is one that is free.
func listenHost(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	switch n, perr := strconv.ParseUint(port, 10, 16); {
	case strings.Contains(addr, "://"):
		return "", fmt.Errorf("--listen-addr %q has a scheme; it is host:port, and TLS has its own settings", addr)
	case strings.ContainsAny(addr, " \t\r\n"):
		return "", fmt.Errorf("--listen-addr %q has a space or a line break in it; it is host:port", addr)
	case strings.ContainsAny(addr, "/@?#"):
		return "", fmt.Errorf("--listen-addr %q has more in it than host:port", addr)
	case err != nil:
		return "", fmt.Errorf("--listen-addr %q is not host:port (an IPv6 address is in brackets): %v", addr, err)
	case perr != nil || strconv.FormatUint(n, 10) != port:
		return "", fmt.Errorf("--listen-addr %q has %q for a port; a port of host:port is a number up to 65535, 0 for one that is free", addr, port)
	}
	return host, nil
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
			closeAll(out)
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
