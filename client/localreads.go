package client

import (
	"context"
	"iter"

	"statehouse.dev/statehouse/client/footprint"
	"statehouse.dev/statehouse/client/state"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Reads of a transaction that is held in the client: the daemon's records at the snapshot,
// under what the transaction has staged. What came from the daemon is taken down.

// begin says where a read is to be made, if the transaction can be read from.
func (t *localTxn) begin() (At, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(); err != nil {
		return At{}, err
	}
	if err := t.held.MayRead(); err != nil {
		return At{}, refused(err)
	}
	return t.point(), nil
}

// point is where to read: at the snapshot, or now if there is none yet.
func (t *localTxn) point() At {
	at, fixed := t.held.Reads.At()
	if !fixed {
		return At{}
	}
	return AtCommit(CommitTS(at))
}

// took takes down records that the daemon answered. again says that they are not of the
// snapshot, which another read has fixed meanwhile, and must be read again.
func (t *localTxn) took(at CommitTS, records ...Record) (again bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(); err != nil {
		return false, err
	}
	if !t.held.Reads.Fix(uint64(at)) {
		return true, nil
	}
	for i := range records {
		if err := t.held.Reads.Add(footprint.Name(records[i].RecordName), uint64(records[i].Version)); err != nil {
			return false, refused(err)
		}
	}
	return false, refused(t.held.Fits())
}

// own is what the transaction staged under a name.
func (t *localTxn) own(n RecordName) (rec Record, staged bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.known(footprint.Name(n), true); err != nil {
		return Record{}, false, err
	}
	o := t.held.Writes.Of(footprint.Name(n))
	if o == nil {
		return Record{}, false, nil
	}
	rec = state.SeenAs(o)
	at, _ := t.held.Reads.At()
	rec.ReadTS = CommitTS(at)
	return rec, true, nil
}

// known refuses to read what is not known before the commit: what comes of an operation that the daemon
// evaluates.
func (t *localTxn) known(n footprint.Name, one bool) error {
	if o := t.held.Writes.Unknown(n, one); o != nil {
		return invalidf("key %q: what the transaction's operation on key %q comes to is known when it has committed", n.Key, o.Key)
	}
	return nil
}

func (t *localTxn) get(ctx context.Context, agent, key string) (Record, error) {
	for {
		at, err := t.begin()
		if err != nil {
			return Record{}, err
		}
		rec, staged, err := t.own(t.c.named(RecordName{Agent: agent, Key: key}))
		if err != nil || staged {
			return rec, err
		}
		rec, err = t.c.get(ctx, "", agent, key, at)
		if err != nil {
			return Record{}, err
		}
		if again, err := t.took(rec.ReadTS, rec); err != nil || !again {
			return rec, err
		}
	}
}

func (t *localTxn) batchGet(ctx context.Context, names []RecordName) ([]Record, error) {
	for {
		at, err := t.begin()
		if err != nil {
			return nil, err
		}
		out := make([]Record, len(names))
		var places []int
		var theirs []RecordName // what is to be read from the daemon
		for i, n := range names {
			n = t.c.named(n)
			rec, staged, err := t.own(n)
			switch {
			case err != nil:
				return nil, err
			case staged:
				out[i] = rec
			default:
				places, theirs = append(places, i), append(theirs, n)
			}
		}
		if len(theirs) == 0 {
			return out, nil
		}
		records, err := t.c.batchGet(ctx, "", theirs, at)
		if err != nil {
			return nil, err
		}
		again, err := t.took(records[0].ReadTS, records...)
		if err != nil {
			return nil, err
		}
		if again {
			continue
		}
		for i, rec := range records {
			out[places[i]] = rec
		}
		for i := range out {
			out[i].ReadTS = records[0].ReadTS
		}
		return out, nil
	}
}

func (t *localTxn) listKeys(ctx context.Context, agent string, q ListQuery) iter.Seq2[string, error] {
	merged := t.list(ctx, agent, q, func(at At, size uint32, token string) ([]Record, string, CommitTS, error) {
		req := &pb.ListKeysRequest{
			Namespace: t.c.config.Namespace, AgentId: agent, Prefix: q.Prefix, Limit: size, PageToken: token, Reverse: q.Reverse, At: state.Point(at),
		}
		resp, err := ask(ctx, t.c, t.c.stub.ListKeys, req)
		records := make([]Record, len(resp.GetKeys()))
		for i, key := range resp.GetKeys() {
			records[i].Key = key
		}
		return records, resp.GetNextPageToken(), CommitTS(resp.GetReadTs()), err
	})
	return func(yield func(string, error) bool) {
		for rec, err := range merged {
			if !yield(rec.Key, err) {
				return
			}
		}
	}
}

func (t *localTxn) scan(ctx context.Context, agent string, q ListQuery) iter.Seq2[Record, error] {
	return t.list(ctx, agent, q, func(at At, size uint32, token string) ([]Record, string, CommitTS, error) {
		at0 := q
		at0.At = at
		return t.c.scanPage(ctx, "", agent, at0, size, token)
	})
}

// fetch gets a page of a list.
type fetch func(at At, size uint32, token string) (records []Record, next string, readTS CommitTS, err error)

// list yields an agent's records as the transaction saw them when the list began: those of
// the snapshot, and its own, in one order. It takes down the stretch of keys that has been
// yielded, which is as much as the caller has seen.
func (t *localTxn) list(ctx context.Context, agent string, q ListQuery, page fetch) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if q.At != (At{}) {
			yield(Record{}, invalidf("a list in a transaction is of its snapshot, so it cannot be at %v", q.At))
			return
		}
		if q.Page != nil { // its token would outlive the transaction
			yield(Record{}, invalidf("a list in a transaction has a limit, and no page"))
			return
		}
		if _, err := t.begin(); err != nil {
			yield(Record{}, err)
			return
		}
		l := list{t: t, agent: footprint.Name{Namespace: t.c.config.Namespace, Agent: agent}, prefix: q.Prefix, page: page}
		var own *footprint.Merge
		var err error
		t.locked(func() {
			own = t.held.Writes.In(l.agent, q.Prefix, q.Reverse)
			err = t.known(footprint.Name{Namespace: l.agent.Namespace, Agent: agent, Key: q.Prefix}, false)
		})
		if err != nil {
			yield(Record{}, err)
			return
		}
		stored := q.Limit
		if stored > 0 {
			stored += own.Left() // as many of the stored ones may be hidden
		}
		theirs := pages(t.c, stored, nil, l.next)
		shown := 0
		show := func(rec Record) bool {
			if shown++; q.NoValues {
				rec.Value, rec.Bytes = nil, nil
			}
			rec.ReadTS = t.snapshot() // an own one has none
			t.locked(func() { l.covered.Shown(rec.Key, q.Reverse) })
			return yield(rec, nil) && (q.Limit == 0 || shown < q.Limit)
		}
		showOwn := func(own []*pb.TransactOperation) bool {
			for _, o := range own {
				if !show(state.SeenAs(o)) {
					return false
				}
			}
			return true
		}
		for rec, err := range theirs {
			if err != nil {
				yield(Record{}, err)
				return
			}
			before, hidden := own.UpTo(rec.Key)
			if !showOwn(before) || !hidden && !show(rec) {
				return
			}
		}
		if showOwn(own.Rest()) {
			t.locked(l.covered.Whole)
		}
	}
}

func (t *localTxn) locked(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f()
}

// list is a list in a transaction while its pages come.
type list struct {
	t       *localTxn
	agent   footprint.Name // without a key
	prefix  string
	page    fetch
	at      At               // where the first page was asked for, as all of them must be
	covered *footprint.Range // nil until the first has come
}

// next gets a page. The first one may fix the snapshot, and begins the stretch that the list
// covers.
func (l *list) next(size uint32, token string) ([]Record, string, error) {
	for {
		at, err := l.t.begin()
		if err != nil {
			return nil, "", err
		}
		if token == "" {
			l.at = at
		}
		records, next, readTS, err := l.page(l.at, size, token)
		if err != nil {
			return nil, "", err
		}
		again, err := l.t.took(readTS)
		switch {
		case err != nil:
			return nil, "", err
		case again && token == "":
			continue
		case again:
			return nil, "", broken("a page is of commit %d, and those before are not", readTS)
		}
		if l.covered == nil {
			l.t.locked(func() {
				l.covered = l.t.held.Reads.List(l.agent, l.prefix)
				err = refused(l.t.held.Fits())
			})
		}
		return records, next, err
	}
}
