package sim

import (
	"fmt"
	"time"

	"statehouse.dev/statehouse/engine"
)

// Config is how the daemon is set up, and the disk it is on. The zero value is
// production's defaults on a disk without limit.
type Config struct {
	TxnTimeout   time.Duration `yaml:"txn_timeout,omitempty" json:"txn_timeout,omitempty"`
	OutcomeAge   time.Duration `yaml:"outcome_age,omitempty" json:"outcome_age,omitempty"`
	OutcomeCount int           `yaml:"outcome_count,omitempty" json:"outcome_count,omitempty"`
	OpenTxns     int           `yaml:"open_txns,omitempty" json:"open_txns,omitempty"`
	CachedKeys   int           `yaml:"cached_keys,omitempty" json:"cached_keys,omitempty"`
	// Capacity of the disk in bytes; 0: no limit.
	Capacity int64 `yaml:"capacity,omitempty" json:"capacity,omitempty"`
}

// validate reports a limit that is none.
func (c Config) validate() error {
	if c.TxnTimeout < 0 || c.OutcomeAge < 0 || c.OutcomeCount < 0 || c.OpenTxns < 0 || c.CachedKeys < 0 || c.Capacity < 0 {
		return fmt.Errorf("config: a limit is negative")
	}
	return nil
}

func (c Config) limits() engine.Limits {
	return engine.Limits{
		TxnTimeout: c.TxnTimeout, OutcomeAge: c.OutcomeAge, OutcomeCount: c.OutcomeCount, OpenTxns: c.OpenTxns,
		CachedVersions: c.CachedKeys, DiskReserve: diskReserve,
	}
}

// diskReserve is small, as simulated disks are.
const diskReserve = 1 << 20
