package engine

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// Meta rows say things about the store itself. All but floorKey's, featuresKey's and, when a backup
// is restored, epochKey's are written with the store and never changed.
var (
	formatKey   = []byte{metaTag, 'f'} // the format, 1 byte
	featuresKey = []byte{metaTag, 'x'} // what the store uses beyond the format, see checkFeatures
	epochKey    = []byte{metaTag, 'e'} // lineage
	baseKey     = []byte{metaTag, 'h'} // hash(0) of the chain; not there: zero
	floorKey    = []byte{metaTag, 'o'} // outcomes up to this commit have been dropped
)

// meta is what the meta rows say.
type meta struct {
	lineage lineage
	base    chainHash
	floor   CommitTS
}

// writeMeta writes the meta rows of a new store, durably and into a table.
func writeMeta(db *pebble.DB, l lineage, base chainHash) error {
	batch := db.NewBatch()
	defer batch.Close()
	set := func(key, body []byte) { _ = batch.Set(key, sealRow(key, body), nil) }
	set(formatKey, []byte{FormatVersion})
	set(featuresKey, appendFeatures(nil, nil))
	set(epochKey, l.append(nil))
	if base != (chainHash{}) {
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
		return m, failf(ErrDataLoss, "the store says format %v, its identity file %d", body, format)
	}
	if body, err = getRow(r, featuresKey); err != nil {
		return m, err
	}
	if _, ok := parseFeatures(body); !ok {
		return m, corruptRow(featuresKey, "missing or malformed")
	}
	if body, err = getRow(r, epochKey); err != nil {
		return m, err
	}
	var ok bool
	if m.lineage, ok = parseLineage(body); !ok {
		return m, corruptRow(epochKey, "missing or malformed")
	}
	if body, err = getRow(r, baseKey); err != nil {
		return m, err
	}
	if body != nil && len(body) != len(m.base) {
		return m, corruptRow(baseKey, "malformed")
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
	v, n := binary.Uvarint(body)
	if n <= 0 {
		return 0, corruptRow(floorKey, "malformed")
	}
	return CommitTS(v), nil
}

// isMetaKey reports whether a meta row is one that there may be.
func isMetaKey(key []byte) bool {
	return slices.ContainsFunc([][]byte{formatKey, featuresKey, epochKey, baseKey, floorKey}, func(known []byte) bool {
		return bytes.Equal(known, key)
	})
}

// features are what builds may write into a store beyond format 2 as it began: tags of
// optional fields, kinds of rows. A build lists one in the row before it writes it for the first
// time, so that an older build does not open what it would read wrongly.
var features = []string{featureImports}

// useFeature lists a feature, before something of it is written.
func useFeature(b *pebble.Batch, feature string) error {
	row, closer, err := b.Get(featuresKey)
	if err != nil {
		return storageError(err)
	}
	defer closer.Close()
	body, err := openRow(featuresKey, row)
	if err != nil {
		return err
	}
	used, ok := parseFeatures(body)
	if !ok {
		return corruptRow(featuresKey, "malformed")
	}
	if at, found := slices.BinarySearch(used, feature); !found {
		_ = b.Set(featuresKey, sealRow(featuresKey, appendFeatures(nil, slices.Insert(used, at, feature))), nil)
	}
	return nil
}

// checkFeatures refuses a store in which something is used that this build does not know.
// It comes before anything else is read.
func checkFeatures(r *store) error {
	body, err := getRow(r, featuresKey)
	if body == nil || err != nil {
		return err // readMeta says what a missing row means
	}
	used, ok := parseFeatures(body)
	if !ok {
		return corruptRow(featuresKey, "malformed")
	}
	used = slices.DeleteFunc(used, func(f string) bool { return slices.Contains(features, f) })
	if len(used) > 0 {
		return failf(ErrFormat, "the store uses %s, which this build does not know: use a newer statehoused", strings.Join(used, ", "))
	}
	return nil
}

func appendFeatures(dst []byte, names []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, f := range names {
		dst = appendString(dst, f)
	}
	return dst
}

func parseFeatures(body []byte) (names []string, ok bool) {
	d := decoder{rest: body}
	for range d.count(1) {
		names = append(names, d.string())
	}
	return names, d.end() && slices.IsSorted(names)
}
