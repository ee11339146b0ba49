package founding

import (
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine"
	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
)

// Identity says which member of which cluster a directory is.
type Identity struct {
	Cluster string
	ID      uint64
	Members []*clusterpb.Member // as the cluster was founded or, of one that was added, as they were then; by id
	Added   bool                // it came after the cluster was founded
	Leaving bool                // it is becoming the directory of one machine, and no member any more
	Removed bool                // it was told that it is no member any more
}

// Founders are the ids of those that founded the cluster; nil of a member that was added, which begins with what the
// others have agreed on since.
func (id *Identity) Founders() (ids []uint64) {
	if id.Added {
		return nil
	}
	for _, m := range id.Members {
		ids = append(ids, m.GetId())
	}
	return ids
}

// Addr is where the others reach this member.
func (id *Identity) Addr() string { return id.AddrOf(id.ID) }

// AddrOf is where a member is reached, as the directory came to be a member's; empty: it was none then.
func (id *Identity) AddrOf(member uint64) string {
	for _, m := range id.Members {
		if m.GetId() == member {
			return m.GetPeerAddr()
		}
	}
	return ""
}

const identityHead = "Statehouse cluster member\nversion 1\n"

// state is a line that stands in the file where something is so.
type state struct {
	line string
	set  *bool
}

func (id *Identity) states() []state {
	return []state{{"added\n", &id.Added}, {"leaving\n", &id.Leaving}, {"removed\n", &id.Removed}}
}

func (id *Identity) encode() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%scluster %s\nid %d\n", identityHead, id.Cluster, id.ID)
	for _, is := range id.states() {
		if *is.set {
			b.WriteString(is.line)
		}
	}
	for _, m := range id.Members {
		fmt.Fprintf(&b, "member %d %s\n", m.GetId(), m.GetPeerAddr())
	}
	return sum(b.String())
}

// sum is a text that ends with its checksum.
func sum(text string) []byte {
	return fmt.Appendf(nil, "%schecksum %08x\n", text, crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli)))
}

// summed is the text before a checksum.
func summed(data []byte) (text string, ok bool) {
	text, _, ok = strings.Cut(string(data), "checksum ")
	return text, ok && string(sum(text)) == string(data)
}

func decodeIdentity(data []byte) (*Identity, error) {
	text, ok := summed(data)
	if !ok {
		return nil, fmt.Errorf("%w: the file %s is damaged: it does not check", engine.ErrDataLoss, engine.MemberFile)
	}
	rest, known := strings.CutPrefix(text, identityHead)
	if !known {
		return nil, fmt.Errorf("%w: the file %s is of a version that this build does not know", engine.ErrFormat, engine.MemberFile)
	}
	id := &Identity{}
	for line := range strings.Lines(rest) {
		var n uint64
		var s string
		for _, is := range id.states() {
			*is.set = *is.set || line == is.line
		}
		switch {
		case scan(line, "cluster %s\n", &s):
			id.Cluster = s
		case scan(line, "id %d\n", &n):
			id.ID = n
		case scan(line, "member %d %s\n", &n, &s):
			id.Members = append(id.Members, &clusterpb.Member{Id: n, PeerAddr: s})
		}
	}
	if string(id.encode()) != string(data) || id.ID == 0 || id.Addr() == "" {
		return nil, fmt.Errorf("%w: the file %s is damaged: no build writes it so", engine.ErrDataLoss, engine.MemberFile)
	}
	return id, nil
}

func scan(line, format string, to ...any) bool {
	n, err := fmt.Sscanf(line, format, to...)
	return n == len(to) && err == nil
}

// Read says which member a directory is; nil: none. A directory that has not finished to join is none yet.
func Read(fs vfs.FS, dir string) (*Identity, error) {
	data, err := readFile(fs, fs.PathJoin(dir, engine.MemberFile))
	if data == nil || err != nil {
		return nil, err
	}
	if isStore, err := exists(fs, fs.PathJoin(dir, engine.IdentityFile)); err != nil || !isStore {
		return nil, err
	}
	return decodeIdentity(data)
}

// newID is a random name.
func newID(env engine.Env) string {
	var b [8]byte
	env.Rand(b[:])
	return hex.EncodeToString(b[:])
}
