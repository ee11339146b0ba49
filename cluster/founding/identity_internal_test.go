package founding

import (
	"fmt"
	"testing"

	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
)

// TestIdentityKept: what a directory remembers of its member is read as it was written, each state by itself and all
// together.
func TestIdentityKept(t *testing.T) {
	for states := range 8 {
		id := &Identity{
			Cluster: "0123456789abcdef", ID: 2, Members: []*clusterpb.Member{{Id: 1, PeerAddr: "a:1"}, {Id: 2, PeerAddr: "b:1"}},
			Added: states&1 > 0, Leaving: states&2 > 0, Removed: states&4 > 0,
		}
		got, err := decodeIdentity(id.encode())
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(id) {
			t.Errorf("%v is read as %v", id, got)
		}
		if founds := got.Founders(); (len(founds) == 0) != id.Added {
			t.Errorf("%v was founded by %v", id, founds)
		}
	}
}
