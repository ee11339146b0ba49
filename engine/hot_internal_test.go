package engine

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
)

// TestHotRecordsAreExact: whatever is published, offered and dropped, a look-up finds the
// newest version that is not past its snapshot, or nothing, within the bound.
func TestHotRecordsAreExact(t *testing.T) {
	for _, room := range []int{1, 900, 5000, 1 << 22} {
		var turned atomic.Uint64
		h, r := newHotRecords(room, &turned), rand.New(rand.NewPCG(uint64(room), 1))
		type fact struct {
			version Version
			ts      CommitTS
		}
		newest, offers := make(map[string]fact), make(map[string]hotMiss)
		found := 0
		for ts := CommitTS(1); ts < 20_000; ts++ {
			key := fmt.Sprintf("key-%d", r.IntN(60))
			switch r.IntN(3) {
			case 0:
				f := fact{newest[key].version + 1, ts}
				h.replace(key, hotRecord{version: f.version, commitTS: ts, exists: true, value: make([]byte, r.IntN(300))})
				newest[key] = f
				if _, held := h.value([]byte(key), f.version-1); held {
					t.Fatalf("room %d: version %d of %s is there after %d", room, f.version-1, key, f.version)
				}
			case 1:
				f := newest[key]
				if rec, held, _ := h.get([]byte(key), max(f.ts, 1)-1); held && rec.version >= f.version && f.version > 0 {
					t.Fatalf("room %d: a read before version %d of %s got %d", room, f.version, key, rec.version)
				}
				rec, held, miss := h.get([]byte(key), ts)
				if held {
					if found++; rec.version != f.version || rec.commitTS != f.ts {
						t.Fatalf("room %d: %s is at %v, got %d at %d", room, key, f, rec.version, rec.commitTS)
					}
				} else if offers[key].shard == nil {
					offers[key] = miss
				}
			case 2: // a reader that looked some time ago has found what was the newest then, or is now
				if miss := offers[key]; miss.shard != nil {
					f := newest[key]
					if miss.changes != miss.shard.changes {
						f = fact{} // it is refused, whatever it is
					}
					h.fill(miss, []byte(key), hotRecord{version: f.version, commitTS: f.ts, exists: f.version > 0, value: make([]byte, 10)})
					delete(offers, key)
				}
			}
			if n := h.bytes(); n > room {
				t.Fatalf("%d bytes are held, and there is room for %d", n, room)
			}
		}
		if (found > 0) != (room >= 900) || (turned.Load() > 0) != (room < 1<<22) {
			t.Errorf("room %d: %d found, turned %d times", room, found, turned.Load())
		}
	}
}
