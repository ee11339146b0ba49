package engine

import (
	"errors"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"

	"statehouse.dev/statehouse/engine/words"
)

// Every table names the store that it was written for. Without that, a table of another
// store with the same number and size would be read as ours: the checksums of its rows are
// right. Tables of older builds have no such property.

const ownerProperty = "statehouse.store"

// owner is the store id that tables are written with. A new store has none until Pebble
// is open.
type owner struct{ id atomic.Pointer[string] }

func (o *owner) set(id string) { o.id.Store(&id) }

// collector makes Pebble write the id into the properties of a table.
func (o *owner) collector() pebble.BlockPropertyCollector { return ownerCollector{o} }

type ownerCollector struct{ owner *owner }

func (ownerCollector) Name() string                                 { return ownerProperty }
func (ownerCollector) AddPointKey(pebble.InternalKey, []byte) error { return nil }
func (ownerCollector) FinishDataBlock(buf []byte) ([]byte, error)   { return buf, nil }
func (ownerCollector) AddPrevDataBlockToIndexBlock()                {}
func (ownerCollector) FinishIndexBlock(buf []byte) ([]byte, error)  { return buf, nil }
func (ownerCollector) SupportsSuffixReplacement() bool              { return false }

func (c ownerCollector) FinishTable(buf []byte) ([]byte, error) {
	if id := c.owner.id.Load(); id != nil {
		buf = append(buf, *id...)
	}
	return buf, nil
}

var errNoRangeKeys = errors.New("a store of ours has no range keys and replaces no suffixes")

func (ownerCollector) AddRangeKeys(sstable.Span) error { return errNoRangeKeys }
func (ownerCollector) AddCollectedWithSuffixReplacement(_, _, _ []byte) error {
	return errNoRangeKeys
}

// eachOwner calls f with every table that names its store.
func eachOwner(db *pebble.DB, f func(table, id string) error) error {
	levels, err := db.SSTables(pebble.WithProperties())
	if err != nil {
		return storageError(err)
	}
	for _, level := range levels {
		for _, table := range level {
			if table.Properties == nil {
				continue
			}
			// The first byte is Pebble's number for the property.
			if p := table.Properties.UserProperties[ownerProperty]; len(p) > 1 {
				if err := f(tableName(table.BackingSSTNum.String()), p[1:]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// checkOwner refuses tables of another store. With a nil identity it accepts any.
func checkOwner(db *pebble.DB, id *identity) error {
	return eachOwner(db, func(table, owner string) error {
		if id != nil && owner != id.storeID {
			return words.Failf(ErrDataLoss, "table %s belongs to store %s, not to this one, %s", table, owner, id.storeID)
		}
		return nil
	})
}

// adoptedOwner is the id in tables left by an interrupted creation of the store; "" if
// none.
func adoptedOwner(db *pebble.DB) (id string, err error) {
	err = eachOwner(db, func(_, owner string) error {
		id = owner
		return nil
	})
	return id, err
}
