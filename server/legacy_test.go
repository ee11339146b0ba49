package server

import (
	"testing"

	"statehouse.dev/statehouse/server/wiretest"
)

// TestLegacyClient drives the whole base contract (docs/CONTRACT.md).
func TestLegacyClient(t *testing.T) {
	r := newRig(t)
	wiretest.BaseContract(t, r.conn, r.advance)
}
