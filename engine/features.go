package engine

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// features are what builds may write into a store beyond format 2 as it began: tags of
// optional fields, kinds of rows. A build lists one in the row before it writes it for the first
// time, so that an older build does not open what it would read wrongly. In byte order.
var features = []string{featureActs, featureBytes, featureHidden, featureImports, featureRanges, featureRestores, featureTimers, featureWakes}

const (
	featureActs     = "acts"     // f rows, and the field of events that goes with them
	featureBytes    = "bytes"    // values that are bytes
	featureHidden   = "hidden"   // records that are the engine's own
	featureImports  = "imports"  // rows of imports under way
	featureRanges   = "ranges"   // acts on many keys: g rows, and their kind of the field of events
	featureRestores = "restores" // likewise those that restore
	featureTimers   = "timers"   // holds: h and d rows, and the fields that go with them
	featureWakes    = "wakeups"  // hidden records of what is due: w rows, and two kinds of holds
)

// checkFeatures refuses a store in which something is used that this build does not know.
// It comes before anything else is read.
func checkFeatures(r *store) error {
	body, err := getRow(r, featuresKey)
	if body == nil || err != nil {
		return err // readMeta says what a missing row means
	}
	used, ok := parseFeatures(body)
	if !ok {
		return layout.CorruptRow(featuresKey, "malformed")
	}
	return knowFeatures(used)
}

func knowFeatures(used []string) error {
	used = slices.DeleteFunc(slices.Clone(used), func(f string) bool { return slices.Contains(features, f) })
	if len(used) > 0 {
		return words.Failf(ErrFormat, "the store uses %s, which this build does not know: use a newer statehoused", strings.Join(used, ", "))
	}
	return nil
}

// usedFeatures are those that a store uses. They belong to the writer.
type usedFeatures []string

// use makes batch list a feature unless the store does: with the first rows that need it.
func (u *usedFeatures) use(batch *pebble.Batch, feature string) {
	at, found := slices.BinarySearch(*u, feature)
	if found {
		return
	}
	assertf(slices.Contains(features, feature), "the feature %q is not one that this build knows", feature)
	*u = slices.Insert(slices.Clone(*u), at, feature)
	_ = batch.Set(featuresKey, layout.SealRow(featuresKey, appendFeatures(nil, *u)), nil) // in memory
}

func appendFeatures(dst []byte, names []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, f := range names {
		dst = layout.AppendString(dst, f)
	}
	return dst
}

func parseFeatures(body []byte) (names []string, ok bool) {
	d := layout.Decoder{Rest: body}
	for range d.Count(1) {
		names = append(names, d.Str())
	}
	return names, d.End() && slices.IsSorted(names)
}
