package footprint

import (
	"fmt"
	"slices"
	"time"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Limits of a transaction that is held in the client. They are the daemon's, as it is
// configured by default: what is above them is refused here, early. The daemon may be
// configured otherwise, and its refusal of the commit is the truth.
const (
	maxReads        = 10_000
	maxBytes        = 7 << 19 // of names and values
	maxRequestBytes = 4<<20 - 64<<10
)

// Limit is the refusal of what is too much for one transaction.
type Limit struct {
	What    string
	N, Most int
}

func (l *Limit) Error() string { return fmt.Sprintf("%s: %d, the limit is %d", l.What, l.N, l.Most) }

// Name names a record.
type Name struct{ Namespace, Agent, Key string }

// Footprint is what a transaction has written and read. The zero value is one that has done
// neither.
type Footprint struct {
	Writes Writes
	Reads  Reads
}

// MayRead is the refusal of one more read.
func (f *Footprint) MayRead() error {
	if n := f.Reads.count(); n >= maxReads {
		return &Limit{"reads of a transaction", n + 1, maxReads}
	}
	return nil
}

// Fits is the refusal of a transaction whose commit would be too large to send.
func (f *Footprint) Fits() error {
	if n := f.Reads.count(); n > maxReads {
		return &Limit{"reads of a transaction", n, maxReads}
	}
	if n := f.Writes.bytes + f.Reads.bytes; n > maxRequestBytes {
		return &Limit{"bytes written and read by a transaction", n, maxRequestBytes}
	}
	return nil
}

// Forget forgets all but the snapshot.
func (f *Footprint) Forget() { *f = Footprint{Reads: Reads{at: f.Reads.at}} }

// Fill puts what was written and read into the request that commits it.
func (f *Footprint) Fill(req *pb.TransactRequest) {
	req.KeyPreconditions = slices.Concat(f.Writes.replaced, req.KeyPreconditions)
	req.Operations = append(req.Operations, f.Writes.ops...)
	if !f.Reads.empty() {
		req.Reads, req.KeyPreconditions = f.Reads.message(), guarded(req.KeyPreconditions)
	}
}

// guarded adds to the preconditions of a request that carries reads an empty one. A daemon
// that does not know reads would commit without regard to them; the empty precondition is
// what it refuses.
func guarded(keys []*pb.KeyPrecondition) []*pb.KeyPrecondition {
	return append(slices.Clip(keys), &pb.KeyPrecondition{})
}

// Timed is the request with the time that is left. Of a try that comes too late only the
// outcome of an earlier one is of interest.
func Timed(req *pb.TransactRequest, left time.Duration) *pb.TransactRequest {
	left = max(left, 0)
	return &pb.TransactRequest{
		TxnId: req.TxnId, Operations: req.Operations, KeyPreconditions: req.KeyPreconditions, HeadPreconditions: req.HeadPreconditions,
		Metadata: req.Metadata, Reads: req.Reads, Encoding: req.Encoding, TimeoutMs: new(uint64((left + time.Millisecond - 1) / time.Millisecond)),
	}
}
