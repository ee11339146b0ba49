package client

import (
	"context"
	"iter"
	"slices"
	"strings"

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
	if n := len(t.reads.order) + len(t.reads.ranges); n >= maxTxnReads {
		return At{}, limited("reads of a transaction", n+1, maxTxnReads)
	}
	return t.reads.point(), nil
}

// took takes down records that the daemon answered. again says that they are not of the
// snapshot, which another read has fixed meanwhile, and must be read again.
func (t *localTxn) took(at CommitTS, records ...Record) (again bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(); err != nil {
		return false, err
	}
	if !t.reads.snapshot(at) {
		return true, nil
	}
	for i := range records {
		if err := t.reads.add(records[i].RecordName, records[i].Version); err != nil {
			return false, err
		}
	}
	return false, t.fits()
}

// fits is the refusal of a transaction whose commit would be too large to send.
func (t *localTxn) fits() error {
	if n := len(t.reads.order) + len(t.reads.ranges); n > maxTxnReads {
		return limited("reads of a transaction", n, maxTxnReads)
	}
	if n := t.bytes + t.reads.bytes; n > maxRequestBytes {
		return limited("bytes written and read by a transaction", n, maxRequestBytes)
	}
	return nil
}

// own is what the transaction staged under a name.
func (t *localTxn) own(n RecordName) (Record, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w, staged := t.writes[n]
	if !staged {
		return Record{}, false
	}
	rec := t.seenAs(w)
	return rec, true
}

// seenAs is how the transaction sees its own write.
func (t *localTxn) seenAs(w Write) Record {
	rec := Record{RecordName: w.RecordName, Exists: !w.Tombstone, Value: slices.Clone(w.Value)}
	if t.reads.at != nil {
		rec.ReadTS = *t.reads.at
	}
	return rec
}

func (t *localTxn) get(ctx context.Context, agent, key string) (Record, error) {
	for {
		at, err := t.begin()
		if err != nil {
			return Record{}, err
		}
		if rec, staged := t.own(t.c.named(RecordName{Agent: agent, Key: key})); staged {
			return rec, nil
		}
		rec, err := t.c.get(ctx, "", agent, key, at)
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
			if rec, staged := t.own(n); staged {
				out[i] = rec
			} else {
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
			Namespace: t.c.config.Namespace, AgentId: agent, Prefix: q.Prefix, Limit: size, PageToken: token, Reverse: q.Reverse, At: at.message(),
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
		if _, err := t.begin(); err != nil {
			yield(Record{}, err)
			return
		}
		own := t.ownIn(agent, q)
		m := merge{reverse: q.Reverse, own: own}
		stored := q.Limit
		if stored > 0 {
			stored += len(own) // as many of the stored ones may be hidden
		}
		l := list{t: t, agent: agent, prefix: q.Prefix, page: page}
		theirs := pages(t.c, stored, l.next)
		shown := 0
		show := func(rec Record) bool {
			if shown++; q.NoValues {
				rec.Value = nil
			}
			rec.ReadTS = t.snapshot() // an own one was taken before the first page
			t.cover(func() { l.covered.shown(rec.Key, q.Reverse) })
			return yield(rec, nil) && (q.Limit == 0 || shown < q.Limit)
		}
		for rec, err := range theirs {
			if err != nil {
				yield(Record{}, err)
				return
			}
			for _, rec := range m.upTo(rec) {
				if !show(rec) {
					return
				}
			}
		}
		for _, rec := range m.rest() {
			if !show(rec) {
				return
			}
		}
		t.cover(l.covered.whole)
	}
}

func (t *localTxn) cover(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f()
}

// list is a list in a transaction while its pages come.
type list struct {
	t       *localTxn
	agent   string
	prefix  string
	page    fetch
	at      At         // where the first page was asked for, as all of them must be
	covered *readRange // nil until the first has come
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
			l.t.cover(func() {
				l.covered = l.t.reads.list(RecordName{Namespace: l.t.c.config.Namespace, Agent: l.agent}, l.prefix)
				err = l.t.fits()
			})
		}
		return records, next, err
	}
}

// ownIn are the transaction's own records where a list lists, in its order.
func (t *localTxn) ownIn(agent string, q ListQuery) []Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	var own []Record
	for _, n := range t.order {
		if n.Namespace == t.c.config.Namespace && n.Agent == agent && strings.HasPrefix(n.Key, q.Prefix) {
			own = append(own, t.seenAs(t.writes[n]))
		}
	}
	slices.SortFunc(own, func(a, b Record) int { return inOrder(a.Key, b.Key, q.Reverse) })
	return own
}

func inOrder(a, b string, reverse bool) int {
	if reverse {
		return strings.Compare(b, a)
	}
	return strings.Compare(a, b)
}

// merge puts own records between stored ones, and in place of those of the same key.
type merge struct {
	reverse bool
	own     []Record // that are left
}

// upTo are the records to show up to a stored one.
func (m *merge) upTo(stored Record) (show []Record) {
	for len(m.own) > 0 && inOrder(m.own[0].Key, stored.Key, m.reverse) < 0 {
		show = m.next(show)
	}
	if len(m.own) > 0 && m.own[0].Key == stored.Key {
		return m.next(show)
	}
	return append(show, stored)
}

// rest are the records to show after the last stored one.
func (m *merge) rest() (show []Record) {
	for len(m.own) > 0 {
		show = m.next(show)
	}
	return show
}

func (m *merge) next(show []Record) []Record {
	rec := m.own[0]
	if m.own = m.own[1:]; rec.Exists {
		show = append(show, rec)
	}
	return show
}
