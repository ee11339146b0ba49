package server

import (
	"testing"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server/wiretest"
)

// TestLegacyClient drives the whole base contract (docs/CONTRACT.md).
func TestLegacyClient(t *testing.T) {
	r := newRig(t)
	wiretest.BaseContract(t, r.conn, r.advance)
}

// TestLegacyClientBesideNewer has one read beside all that newer clients do: it sees nothing that it does not know.
func TestLegacyClientBesideNewer(t *testing.T) {
	const many = 8
	r := newRig(t, func(c *Config, _ *engine.Env) { c.Engine.Limits.TxnOps = many })
	wiretest.BesideNewer(t, r.conn, many, r.advance)
}
