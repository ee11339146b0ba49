package sim

import (
	"fmt"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/sim/bounds"
)

// Class says what a run's faults may do, and with that what is asked of the
// daemon. It is part of the oracle.
type Class string

// The classes.
const (
	// Recoverable: crashes and lost messages. Nothing acknowledged may be lost.
	Recoverable Class = "recoverable"
	// Detectable: files are corrupted. It must be noticed, or make no difference.
	Detectable Class = "detectable"
	// Fatal: storage fails. The daemon must stop without a false acknowledgement.
	Fatal Class = "fatal"
)

// Classes lists them.
func Classes() []Class { return []Class{Recoverable, Detectable, Fatal} }

// Config is how the daemon is set up, and the disk it is on. The zero value is
// production's defaults on a disk without limit.
type Config struct {
	TxnTimeout    time.Duration `yaml:"txn_timeout,omitempty" json:"txn_timeout,omitempty"`
	OutcomeAge    time.Duration `yaml:"outcome_age,omitempty" json:"outcome_age,omitempty"`
	OutcomeCount  int           `yaml:"outcome_count,omitempty" json:"outcome_count,omitempty"`
	bounds.Bounds `yaml:",inline"`
	// Unsynced commits are acknowledged when the system has them: the process may die, the
	// machine may not.
	Unsynced bool `yaml:"unsynced,omitempty" json:"unsynced,omitempty"`
	// Token: the daemon wants one, and clients send it.
	Token bool `yaml:"token,omitempty" json:"token,omitempty"`
	// Keys: the daemon has keys beside the token, and clients may use them: see Principals.
	Keys bool `yaml:"keys,omitempty" json:"keys,omitempty"`
	// Capture: the daemon records what it is asked and answers.
	Capture bool `yaml:"capture,omitempty" json:"capture,omitempty"`
	// Rate is how many requests a second each client may make; 0: any number.
	Rate int `yaml:"rate,omitempty" json:"rate,omitempty"`
	// Capacity of the disk in bytes; 0: no limit.
	Capacity int64 `yaml:"capacity,omitempty" json:"capacity,omitempty"`
	// Nodes is how many keep the store between them; 0: the daemon is alone.
	Nodes int `yaml:"nodes,omitempty" json:"nodes,omitempty"`
	// KeepLog is how many bytes of the log nodes keep for those that are behind; 0: as many as production does.
	KeepLog uint64 `yaml:"keep_log,omitempty" json:"keep_log,omitempty"`
}

// Validate reports a limit that is none.
func (c Config) Validate() error {
	if c.TxnTimeout < 0 || c.OutcomeAge < 0 || c.OutcomeCount < 0 || c.Capacity < 0 || c.Rate < 0 {
		return fmt.Errorf("config: a limit is negative")
	}
	if c.Keys && !c.Token {
		return fmt.Errorf("config: keys are made with a token")
	}
	if c.KeepLog > 0 && c.Nodes == 0 {
		return fmt.Errorf("config: a daemon that is alone keeps no log for others")
	}
	if c.Nodes == 1 || c.Nodes < 0 || c.Nodes > 7 {
		return fmt.Errorf("config: a cluster has two to seven nodes")
	}
	return c.Bounds.Validate()
}

// server is the daemon's configuration.
func (c Config) server() server.Config {
	s := server.Config{Version: build, GitSHA: build, Token: c.token(), Engine: engine.Options{
		Dir: dataDir, NoSync: c.Unsynced || c.Nodes > 0, // a cluster syncs its log
		Limits: engine.Limits{TxnTimeout: c.TxnTimeout, OutcomeAge: c.OutcomeAge, OutcomeCount: c.OutcomeCount, DiskReserve: DiskReserve},
		Tuning: engine.Tuning{MemTableBytes: 256 << 10, CacheBytes: 1 << 20, ManualCompaction: true, ErasedKeys: 1, FiredHolds: 8, PieceRows: 4, DeletedKeys: 3, ImportCommits: 2},
	}}
	if c.Rate > 0 {
		s.Rate = func(string) float64 { return float64(c.Rate) }
	}
	for _, to := range []any{&s, &s.Tuning, &s.Engine.Limits, &s.Engine.Tuning} {
		c.Bounds.Set(to)
	}
	s.Engine.Limits, s.Engine.Tuning = s.Engine.Limits.WithDefaults(), s.Engine.Tuning.WithDefaults()
	return s.WithDefaults()
}

// configure sets how the daemon is set up from its next start on.
func (w *World) configure(c Config) { w.config, w.served = c, c.server() }

// judgeBounds reports what a judge of the bounds in force has seen.
func (w *World) judgeBounds(judge func(j *bounds.Judge)) {
	j := bounds.NewJudge(&w.served)
	judge(j)
	w.rec.violations = append(w.rec.violations, j.Violations...)
}

// countBounds counts, when a process ends, how often it reached each bound.
func (w *World) countBounds(p *process) {
	if p.service == nil {
		return
	}
	for name, n := range p.service.Reached() { // each by itself: order cannot matter
		if probe := bounds.Probe(name); probe != "" {
			w.rec.stats.Probes[probe] += int(n)
		}
	}
}

// secret is the token of a daemon that wants one.
const secret = "open-sesame"

func (c Config) token() string {
	if c.Token {
		return secret
	}
	return ""
}

// DiskReserve is small, as simulated disks are.
const DiskReserve = 1 << 20
