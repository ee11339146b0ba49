package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
)

// settings is everything that can be configured. A field's flag, environment
// variable and key in the file share one name.
type settings struct {
	configFile    string
	listenAddr    string
	httpAddr      string
	httpHosts     string // names beside those of loopback, separated by commas
	dataDir       string
	useMemory     bool
	fsyncOnCommit bool
	mustExist     bool
	acceptMissing bool // a missing witness
	migrate       bool
	txTimeoutMS   uint64
	maxTxTimeout  time.Duration
	limits        engine.Limits
	diskReserveMB uint64
	requests      int
	streams       int
	connections   int
	requestBytes  int64
	tlsCert       string
	tlsKey        string
	tlsClientCA   string
	tokenFile     string
	token         string
	allowInsecure bool
	logLevel      string
	logFormat     string
	memoryLimitMB int64
	unsentMB      int64
	cacheMB       int64
	capture       bool
	captureDir    string
	captureMB     int64
	metricsAddr   string
	metricsGiven  bool // it was asked for, and must be there
	namespaces    string
	pprof         bool
	slowMS        uint64
	archive       string
	archiveEvery  int
	archiveCount  uint64
	cluster       clusterSettings
	level         slog.Level        // logLevel
	told          map[string]string // what differs from the defaults and is not private
	values        map[string]string // of all flags, secrets among them
	fitted        map[string]bool   // those that --memory-limit-mb has made smaller
	from          map[string]string // of the settings that are not built in: a flag, a variable, a file
	warnings      []string          // of the environment
}

func (s *settings) register(f *pflag.FlagSet) {
	f.StringVar(&s.configFile, "config", "", "YAML file with settings, keys named as these flags")
	f.StringVar(&s.listenAddr, "listen-addr", "localhost:50051", "address to listen on; localhost means both loopback addresses")
	f.StringVar(&s.httpAddr, "http-listen-addr", httpOff, "address of the service over HTTP (JSON, Connect, gRPC-Web, server-sent events), or off; beyond loopback it needs TLS and keys")
	f.StringVar(&s.httpHosts, "http-allowed-hosts", "", "names by which the service over HTTP may be called, beside those of loopback, separated by commas: other names are refused, so that no page of elsewhere reaches it under one")
	f.StringVar(&s.dataDir, "data-dir", "data", "directory of the store; made when missing")
	f.BoolVar(&s.useMemory, "use-memory", false, "keep everything in memory, for development: gone at exit")
	f.BoolVar(&s.fsyncOnCommit, "fsync-on-commit", true, "sync each commit to disk before acknowledging it; with false a crash of the machine (not of the daemon) may lose the newest")
	f.BoolVar(&s.mustExist, "must-exist", false, "refuse to make a store where there is none (a mount may be missing)")
	f.BoolVar(&s.acceptMissing, "accept-missing-witness", false, "open a store whose witness is gone, for one start: commits at the log's end may be lost")
	f.BoolVar(&s.migrate, "migrate", false, "rewrite a store of an older format first, as statehoused migrate does; an older daemon does not open it afterwards")
	f.Uint64Var(&s.txTimeoutMS, "tx-timeout-ms", 30_000, "timeout of a transaction that asks for none, in milliseconds")
	f.DurationVar(&s.maxTxTimeout, "max-tx-timeout", time.Hour, "longest timeout a transaction can ask for")
	l := &s.limits
	f.IntVar(&l.ValueBytes, "max-value-bytes", 1<<20, "largest value")
	f.IntVar(&l.TxnOps, "max-tx-operations", 5000, "most operations of a transaction")
	f.IntVar(&l.TxnBytes, "max-tx-bytes", 7<<19, "most bytes of names and values of a transaction")
	f.IntVar(&l.TxnReads, "max-tx-reads", 10_000, "most keys and ranges a transaction can read")
	f.IntVar(&l.OpenTxns, "max-open-transactions", 10_000, "most open transactions")
	f.IntVar(&l.StagedBytes, "max-staged-bytes", 256<<20, "most bytes that open transactions may hold, of what they staged and read; commits that wait may hold half as much")
	f.IntVar(&l.QueuedCommits, "max-queued-commits", 4096, "most commits waiting for the writer")
	f.IntVar(&l.MetadataBytes, "max-metadata-bytes", 16<<10, "most bytes of one commit's metadata")
	f.DurationVar(&l.OutcomeAge, "outcome-age", 7*24*time.Hour, "outcomes of commits are kept for retries at least this long")
	f.IntVar(&l.OutcomeCount, "outcome-count", 1_000_000, "and at least this many")
	f.IntVar(&l.CachedVersions, "cached-versions", 200_000, "keys whose version is held in memory")
	f.Uint64Var(&s.diskReserveMB, "disk-reserve-mb", 256, "free space below which writes are refused, in MiB; at most a quarter of the disk")
	f.IntVar(&s.requests, "max-requests", 1024, "most unary requests under way")
	f.IntVar(&s.streams, "max-streams", 1024, "most replays and watches under way")
	f.IntVar(&s.connections, "max-connections", 4096, "most client connections")
	f.Int64Var(&s.unsentMB, "max-unsent-mb", 256, "most bytes of answers and events that wait to be sent, in MiB")
	f.Int64Var(&s.requestBytes, "max-request-bytes", defaultRequestBytes, "most bytes of requests that arrive or are under way")
	f.StringVar(&s.tlsCert, "tls-cert", "", "PEM file with the certificate chain; turns TLS on")
	f.StringVar(&s.tlsKey, "tls-key", "", "PEM file with the certificate's key")
	f.StringVar(&s.tlsClientCA, "tls-client-ca", "", "PEM file with the CAs of client certificates; clients must have one, and its subject says who they are")
	f.StringVar(&s.tokenFile, "token-file", "", "file with the token every request must carry")
	f.StringVar(&s.token, "token", "", "the token itself; prefer --token-file or STATEHOUSE_TOKEN, which other users cannot see")
	f.BoolVar(&s.allowInsecure, "allow-insecure", false, "listen beyond loopback without TLS and a token: anybody who reaches the port reads and writes everything")
	f.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&s.logFormat, "log-format", "text", "text or json")
	f.Int64Var(&s.cacheMB, "cache-mb", 256, "memory for blocks of the store and, a quarter of it, for records, in MiB; what the system caches comes on top")
	f.BoolVar(&s.capture, "capture", false, "record what clients ask and are told; see statehousectl capture")
	f.StringVar(&s.captureDir, "capture-dir", "", "directory of what is recorded; DATA_DIR/capture when empty")
	f.Int64Var(&s.captureMB, "capture-mb", 256, "size of the ring that is recorded to, in MiB: the oldest part is dropped")
	f.StringVar(&s.metricsAddr, "metrics-listen-addr", defaultMetricsAddr, "address of /metrics, /livez and /readyz over HTTP, or off; when another daemon has the default, this one warns and goes on without")
	f.StringVar(&s.namespaces, "metrics-namespaces", "", "namespaces whose requests are counted by name, separated by commas")
	f.BoolVar(&s.pprof, "pprof", false, "serve Go's profiles at /debug/pprof beside the metrics")
	f.Uint64Var(&s.slowMS, "slow-ms", 1000, "requests that take longer are logged with where their time went, in milliseconds; one a second at most")
	f.StringVar(&s.archive, "archive", "", "directory to which what is committed is shipped as it is committed, on another disk or machine: a backup that goes on by itself")
	f.IntVar(&s.archiveEvery, "archive-seconds", 60, "how long a commit may be missing in the archive")
	f.Uint64Var(&s.archiveCount, "archive-commits", 100_000, "ships earlier when so many commits are missing in the archive")
	f.Int64Var(&s.memoryLimitMB, "memory-limit-mb", 2048, "memory that the daemon stays under, in MiB; with less, the defaults of the limits are lower")
	s.cluster.register(f)
}

// complete fills what no flag set from the environment, then from the file, and
// checks the whole.
func (s *settings) complete(f *pflag.FlagSet, environ []string) error {
	env := newVariables(environ)
	s.warnings = env.warnings(f)
	if _, v := env.lookup("config"); v != "" && !f.Changed("config") {
		s.configFile = v
	}
	if err := checkGiven(f); err != nil {
		return err
	}
	file, err := readConfig(s.configFile, f)
	if err != nil {
		return err
	}
	s.from = make(map[string]string)
	f.Visit(func(flag *pflag.Flag) { s.from[flag.Name] = "--" + flag.Name })
	var problem error
	f.VisitAll(func(flag *pflag.Flag) {
		if flag.Changed || problem != nil || !isSetting(flag.Name) {
			return
		}
		from, value := env.lookup(flag.Name)
		s.from[flag.Name] = from
		if value == "" {
			from, value = s.configFile+": "+flag.Name, file[flag.Name]
			s.from[flag.Name] = s.configFile
		}
		if value == "" {
			delete(s.from, flag.Name)
			return
		}
		if err := f.Set(flag.Name, value); err != nil {
			problem = fmt.Errorf("%s: %q is not %s", from, value, show.FlagKind(flag))
		}
	})
	if problem != nil {
		return problem
	}
	if err := checkNumbers(f); err != nil {
		return err
	}
	before := values(f)
	s.fit(f)
	s.metricsGiven = f.Changed("metrics-listen-addr")
	s.fitted = make(map[string]bool)
	for name, value := range values(f) { // a set: any order
		s.fitted[name] = value != before[name]
	}
	s.told, s.values = make(map[string]string), values(f)
	f.Visit(func(flag *pflag.Flag) {
		if !private(flag.Name) {
			s.told[flag.Name] = flag.Value.String()
		}
	})
	return s.check()
}

// values are those of all flags.
func values(f *pflag.FlagSet) map[string]string {
	all := make(map[string]string)
	f.VisitAll(func(flag *pflag.Flag) { all[flag.Name] = flag.Value.String() })
	return all
}

// isSetting reports whether a flag is a setting, which the environment and the file can have,
// too.
func isSetting(flag string) bool {
	return !slices.Contains([]string{"config", "help", "version", "check-config", "print-config"}, flag)
}

// private reports whether a setting stays on this machine: a secret, or where something
// is on it. The others go into captures, which are given away.
func private(flag string) bool {
	for _, part := range []string{"token", "tls", "-dir", "config", "namespaces", "peer", "join", "cluster", "advertise"} {
		if strings.Contains(flag, part) {
			return true
		}
	}
	return false
}

// neverEmpty reports whether a setting that is given must not be empty: it would mean
// less protection than was asked for, and most often that a shell's variable is unset.
func neverEmpty(name string) bool {
	return slices.Contains([]string{"config", "token", "token-file", "tls-cert", "tls-key", "tls-client-ca", "peer-tls-cert", "peer-tls-key", "peer-tls-ca", "peer-listen-addr", "cluster-init", "join"}, name)
}

// checkGiven refuses flags that are given without a value and must have one.
func checkGiven(f *pflag.FlagSet) (problem error) {
	f.Visit(func(flag *pflag.Flag) {
		if neverEmpty(flag.Name) && flag.Value.String() == "" {
			problem = fmt.Errorf("--%s is empty: give it a value, or leave it out", flag.Name)
		}
	})
	return problem
}

// checkNumbers refuses zeros, which further in would mean the default, and less.
func checkNumbers(f *pflag.FlagSet) (problem error) {
	f.VisitAll(func(flag *pflag.Flag) {
		switch flag.Value.Type() {
		case "int", "int64", "uint64", "duration":
			if v := flag.Value.String(); v == "0" || v == "0s" || strings.HasPrefix(v, "-") {
				problem = fmt.Errorf("--%s must be more than 0, not %s", flag.Name, v)
			}
		}
	})
	return problem
}

func (s *settings) check() error {
	switch {
	case (s.tlsCert == "") != (s.tlsKey == ""):
		return errors.New("--tls-cert and --tls-key go together")
	case s.tlsClientCA != "" && s.tlsCert == "":
		return errors.New("--tls-client-ca needs --tls-cert and --tls-key: certificates are shown within TLS")
	case s.token != "" && s.tokenFile != "":
		return errors.New("give --token or --token-file, not both")
	case s.txTimeoutMS == 0 || s.txTimeoutMS > uint64(s.maxTxTimeout.Milliseconds()):
		return fmt.Errorf("--tx-timeout-ms must be between 1 and --max-tx-timeout (%d)", s.maxTxTimeout.Milliseconds())
	case s.logFormat != "text" && s.logFormat != "json":
		return fmt.Errorf("--log-format is text or json, not %q", s.logFormat)
	case s.dataDir == "" && !s.useMemory:
		return errors.New("--data-dir is empty")
	case s.cacheMB < 1:
		return errors.New("--cache-mb must be at least 1")
	case s.limits.ValueBytes > s.limits.TxnBytes:
		return fmt.Errorf("--max-value-bytes is %d, more than --max-tx-bytes (%d): no transaction could hold such a value", s.limits.ValueBytes, s.limits.TxnBytes)
	}
	if n := server.LargestEvent(s.limits); n > server.MaxAnswerBytes {
		return fmt.Errorf("--max-tx-bytes, --max-tx-operations and --max-metadata-bytes allow transactions whose event is a message of %d bytes; gRPC clients accept %d, so nobody could replay them: lower one of the three", n, server.MaxAnswerBytes)
	}
	if err := s.checkMemory(); err != nil {
		return err
	}
	if err := s.level.UnmarshalText([]byte(s.logLevel)); err != nil {
		return fmt.Errorf("--log-level is debug, info, warn or error, not %q", s.logLevel)
	}
	if err := s.readToken(); err != nil {
		return err
	}
	if err := s.checkMetrics(); err != nil {
		return err
	}
	if err := s.checkHTTP(); err != nil {
		return err
	}
	if err := s.checkCluster(); err != nil {
		return err
	}
	s.limits.TxnTimeout = time.Duration(s.txTimeoutMS) * time.Millisecond
	s.limits.MaxTxnTimeout = s.maxTxTimeout
	s.limits.DiskReserve = s.diskReserveMB << 20
	return nil
}

// maxTokenBytes leaves room for other headers in what a request may carry.
const maxTokenBytes = 8 << 10

// readToken reads the token's file, and refuses a token that no client can send: it
// travels in a header.
func (s *settings) readToken() error {
	from := "--token (or " + envName("token") + ")"
	if s.tokenFile != "" {
		data, err := readText(s.tokenFile)
		if err != nil {
			return fmt.Errorf("the token file cannot be read: %w", err)
		}
		from = "the token file " + s.tokenFile
		if s.token = strings.TrimSpace(string(data)); s.token == "" {
			return fmt.Errorf("%s is empty", from)
		}
	}
	if len(s.token) > maxTokenBytes {
		return fmt.Errorf("%s holds %d bytes; a token has at most %d", from, len(s.token), maxTokenBytes)
	}
	if i := strings.IndexFunc(s.token, func(r rune) bool { return r <= ' ' || r > '~' }); i >= 0 {
		r, _ := utf8.DecodeRuneInString(s.token[i:])
		return fmt.Errorf("%s holds %s at byte %d of the token, which no client can send: only printable ASCII without spaces goes into a header", from, character(r), i)
	}
	return nil
}

// character names one that may not be printable.
func character(r rune) string {
	switch r {
	case ' ':
		return "a space"
	case '\t':
		return "a tab"
	case '\n', '\r':
		return "a line break"
	case 0:
		return "a zero byte (is it UTF-16?)"
	case utf8.RuneError:
		return "a byte that is not UTF-8"
	}
	return fmt.Sprintf("%q", r)
}

// ringDir is where captures go.
func (s *settings) ringDir() string {
	switch {
	case s.captureDir != "":
		return s.captureDir
	case s.useMemory: // what is recorded of a store that is gone is of no use
		return filepath.Join(os.TempDir(), fmt.Sprintf("statehouse-capture-%d", os.Getpid()))
	}
	return filepath.Join(s.dataDir, "capture")
}
