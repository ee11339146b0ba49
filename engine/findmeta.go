package engine

import "statehouse.dev/statehouse/engine/layout"

// provenanceMemo has what commits of one agent say of themselves: many records were often written
// by one commit, whose event is large then and is to be read once.
type provenanceMemo map[CommitTS]*layout.Provenance

// mostRemembered is how many commits are remembered; past it all are forgotten.
const mostRemembered = 1024

// metadata returns the metadata of the commit that a record is of, and whether they are known. They
// are not if they were erased, nor of commits below the floor.
func (f *finder) metadata(rec *Record) (m map[string]string, known bool, err error) {
	if rec.CommitTS < f.floor {
		return nil, false, nil
	}
	by := f.memo[rec.CommitTS]
	if by == nil {
		key := layout.EventKey(f.s.e.db.forks.owner(rec.Name.AgentName(), rec.CommitTS), rec.CommitTS)
		body, err := getRow(f.s.e.db, key)
		if err != nil {
			return nil, false, err
		}
		row, ok := layout.ParseEventRow(body)
		if body == nil || !ok {
			return nil, false, layout.CorruptRow(key, "missing or malformed")
		}
		f.looked.rows, f.looked.bytes = f.looked.rows+1, f.looked.bytes+len(body)
		by = &row.By
		if f.memo == nil || len(f.memo) == mostRemembered {
			f.memo = make(provenanceMemo)
		}
		f.memo[rec.CommitTS] = by
	}
	return by.Metadata, by.State != layout.ProvenanceErased, nil
}
