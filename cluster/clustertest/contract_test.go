package clustertest_test

import (
	"testing"

	"statehouse.dev/statehouse/cluster/clustertest"
	"statehouse.dev/statehouse/server/wiretest"
)

// TestLegacyClient: a client of the base contract that is built without our stubs works with a member that
// does not lead as with a daemon that is alone.
func TestLegacyClient(t *testing.T) {
	c := clustertest.Start(t, clustertest.Options{})
	wiretest.BaseContract(t, connect(t, c.Followers()[0]), c.Advance)
}
