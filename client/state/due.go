package state

import (
	"time"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Due is when a record is due: at a time, or In after the commit.
type Due struct {
	At time.Time // zero: In is meant
	In time.Duration
}

// DueAt returns w with a time at which the record is due. From then on it can be claimed, until a worker has
// completed it. One that has passed is due at once.
func (w Write) DueAt(at time.Time) Write {
	w.Due = &Due{At: at}
	return w
}

// DueIn returns w with a time after the commit at which the record is due, as DueAt.
func (w Write) DueIn(d time.Duration) Write {
	w.Due = &Due{In: d}
	return w
}

func (d *Due) set(p *pb.Put) {
	if d.At.IsZero() {
		p.DueInMs = new(Milliseconds(d.In))
		return
	}
	p.DueAt = Timestamp(&d.At)
}

// DueRecord is a record that a claim took, with the lease under which it is held.
type DueRecord struct {
	Record
	DueAt time.Time
	Lease HeldLease
}

// claimedOf are the records of a claim's result.
func claimedOf(r *pb.OperationResult) (out []DueRecord) {
	for _, d := range r.GetClaimed() {
		l, e := d.GetLease(), d.GetRecord()
		rec := Entry(RecordName{l.GetNamespace(), l.GetAgentId(), e.GetKey()}, e, 0)
		rec.DueAt = TimeOf(d.GetDueAt())
		out = append(out, DueRecord{rec, rec.DueAt, HeldLeaseOf(l)})
	}
	return out
}
