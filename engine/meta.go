package engine

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// Meta rows say things about the store itself. All but floorKey's, featuresKey's and, when a backup
// is restored, epochKey's are written with the store and never changed.
var (
	formatKey   = []byte{layout.MetaTag, 'f'} // the format, 1 byte
	featuresKey = []byte{layout.MetaTag, 'x'} // what the store uses beyond the format, see checkFeatures
	epochKey    = []byte{layout.MetaTag, 'e'} // lineage
	baseKey     = []byte{layout.MetaTag, 'h'} // hash(0) of the chain; not there: zero
	floorKey    = []byte{layout.MetaTag, 'o'} // outcomes up to this commit have been dropped
)

// meta is what the meta rows say.
type meta struct {
	lineage layout.Lineage
	base    layout.ChainHash
	floor   CommitTS
	used    []string // features
}

// writeMeta writes the meta rows of a new store, durably and into a table.
func writeMeta(db *pebble.DB, l layout.Lineage, base layout.ChainHash, used []string) error {
	batch := db.NewBatch()
	defer batch.Close()
	set := func(key, body []byte) { _ = batch.Set(key, layout.SealRow(key, body), nil) }
	set(formatKey, []byte{FormatVersion})
	set(featuresKey, appendFeatures(nil, used))
	set(epochKey, l.Append(nil))
	if base != (layout.ChainHash{}) {
		set(baseKey, base[:])
	}
	if err := db.Apply(batch, pebble.Sync); err != nil {
		return storageError(err)
	}
	return storageOrNil(db.Flush())
}

// readMeta reads and checks the meta rows of a store of a format.
func readMeta(r *store, format int) (m meta, err error) {
	body, err := getRow(r, formatKey)
	if err != nil {
		return m, err
	}
	if len(body) != 1 || int(body[0]) != format {
		return m, words.Failf(ErrDataLoss, "the store says format %v, its identity file %d", body, format)
	}
	if body, err = getRow(r, featuresKey); err != nil {
		return m, err
	}
	var ok bool
	if m.used, ok = parseFeatures(body); !ok {
		return m, layout.CorruptRow(featuresKey, "missing or malformed")
	}
	if body, err = getRow(r, epochKey); err != nil {
		return m, err
	}
	if m.lineage, ok = layout.ParseLineage(body); !ok {
		return m, layout.CorruptRow(epochKey, "missing or malformed")
	}
	if body, err = getRow(r, baseKey); err != nil {
		return m, err
	}
	if body != nil && len(body) != len(m.base) {
		return m, layout.CorruptRow(baseKey, "malformed")
	}
	copy(m.base[:], body)
	m.floor, err = readFloor(r)
	return m, err
}

func readFloor(r *store) (CommitTS, error) {
	body, err := getRow(r, floorKey)
	if body == nil || err != nil {
		return 0, err
	}
	floor, ok := parseFloor(body)
	if !ok {
		return 0, layout.CorruptRow(floorKey, "malformed")
	}
	return floor, nil
}

func parseFloor(body []byte) (floor CommitTS, ok bool) {
	v, n := binary.Uvarint(body)
	return CommitTS(v), n > 0
}

// isMetaKey reports whether a meta row is one that there may be.
func isMetaKey(key []byte) bool {
	return slices.ContainsFunc([][]byte{formatKey, featuresKey, epochKey, baseKey, floorKey}, func(known []byte) bool {
		return bytes.Equal(known, key)
	})
}
