package linearizability

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// What is in memory at a time of a long history, where nobody says otherwise.
const (
	sectionSize   = 20_000
	rememberTxns  = 1 << 20 // at least, of those that are over
	carrySections = 4       // how long a transaction is kept that does not end
	secondJudge   = 16      // every so manieth section is judged by Porcupine, too
)

// long is the check of a history that is longer than memory, section by section. A
// section is judged as a history that begins in the middle, with the end of the one
// before it and the transactions that are open: what rests on each other is rarely
// further apart.
type long struct {
	s       *history.Index
	o       Options
	size    int
	ops     *history.Lines
	log     *history.Lines
	state   *rolling
	window  []history.Event // of the log, behind state
	head    uint64          // the end of it
	judged  uint64          // how far it has been judged
	number  int             // of sections
	clock   int64           // the last call of the section before
	seen    map[int]*[1024]uint64
	prev    []*history.Operation // the end of the section before
	carried []*history.Operation
	born    map[string]int // of what is carried: the section
	proofs  []oracle.Proof // in order of time, each of a later commit than those before
	past    *oracle.PastTxns
	streams map[int]*oracle.Stream
	pending map[string]uint64 // commits that nobody has asked for so far
	result  Result
	around  *history.History // the last section
}

// CheckLong judges a history of any length that has its log. What has to be in memory is
// each key's last version, and a section or two. The verdict is that of Check, with limits:
// what is more than a quarter of a section (5,000 operations) in the past (versions and entries that
// were overwritten, as-of reads, the events of a replay of old times) is only held to be in
// order, of answers about transactions that are over for longer only the place is compared,
// of a page the one before must not be longer ago, and the second judge sees one section in
// sixteen. It stops at the first section in which a promise is broken, and returns it.
func CheckLong(s *history.Index, o Options) (*history.History, Result, error) {
	if !s.Complete {
		return nil, Result{Verdict: verdict.Unknown}, errors.New("its log is not complete: it has to be judged as a whole")
	}
	l := &long{
		s: s, o: o, size: o.SectionSize, state: newRolling(s.Header.Base), seen: make(map[int]*[1024]uint64), born: make(map[string]int),
		past: oracle.NewPast(rememberTxns), streams: make(map[int]*oracle.Stream), pending: make(map[string]uint64), result: Result{Verdict: verdict.OK},
	}
	if l.size == 0 {
		l.size = sectionSize
	}
	l.head, l.judged = l.state.ts, l.state.ts
	l.ops = history.NewLines(s.In, s.Ops, s.OpsL, func(kind []byte) bool { return string(kind) == "op" || string(kind) == "batch" })
	defer l.ops.Close()
	l.log = history.NewLines(s.In, s.Log, s.LogL, func(kind []byte) bool { return string(kind) == "event" })
	defer l.log.Close()
	if err := l.run(); err != nil {
		return nil, Result{Verdict: verdict.Unknown}, err
	}
	st := &l.result.Stats
	st.Operations, st.Commits, st.Gaps = s.Operations, s.Events, len(s.Gaps)
	if len(l.result.Violations) > 0 {
		l.result.Verdict = verdict.Illegal
	}
	return l.around, l.result, nil
}

func (l *long) run() error {
	for {
		fresh, err := l.read()
		last := err == io.EOF
		if err != nil && !last {
			return err
		}
		if err := l.pull(fresh, last); err != nil {
			return err
		}
		l.judge(fresh, false)
		if l.o.Progress != nil {
			l.o.Progress(l.ops.At(), l.s.Size)
		}
		if len(l.result.Violations) > 0 {
			return nil
		}
		if last && l.head == l.s.LastInLog {
			l.judge(nil, true)
			l.finish()
			return nil
		}
	}
}

// read reads the operations of the next section; io.EOF: they were the last.
func (l *long) read() ([]*history.Operation, error) {
	var fresh []*history.Operation
	for weight := 0; weight < l.size; weight++ {
		line, err := l.ops.Next()
		if err != nil {
			slices.SortFunc(fresh, history.ByCall)
			return fresh, err
		}
		if op := line.Op; op != nil {
			if !l.first(op.ID) {
				return nil, fmt.Errorf("there are two operations %d", op.ID)
			}
			if op.Kind == history.Replay || op.Kind == history.Watch {
				alone := *op
				l.streams[op.ID] = &oracle.Stream{Op: &alone, Now: op}
			}
			fresh = append(fresh, op)
			continue
		}
		st := l.streams[line.Batch.Op]
		switch {
		case st == nil && l.first(line.Batch.Op):
			return nil, fmt.Errorf("there is a batch of operation %d, which does not come before it", line.Batch.Op)
		case st == nil:
			l.result.Stats.Dangling++ // nothing had come of it for long
			continue
		case st.Now == nil:
			again := *st.Op
			st.Now = &again
			fresh = append(fresh, st.Now)
		}
		st.Now.Batches = append(st.Now.Batches, line.Batch.Batch)
		weight += len(line.Batch.Events)
	}
	slices.SortFunc(fresh, history.ByCall)
	return fresh, nil
}

// first tells whether an operation's number comes for the first time.
func (l *long) first(id int) bool {
	page := l.seen[id>>16]
	if page == nil {
		page = new([1024]uint64)
		l.seen[id>>16] = page
	}
	word, bit := &page[id>>6&1023], uint64(1)<<(id&63)
	was := *word&bit != 0
	*word |= bit
	return !was
}

// pull reads the log as far as the operations speak of it; behind the last one, on.
func (l *long) pull(fresh []*history.Operation, last bool) error {
	upTo := l.head
	for _, op := range fresh {
		upTo = max(upTo, op.NewestCommit())
		for i := range op.Batches {
			b := &op.Batches[i]
			upTo = max(upTo, b.Cursor)
			if n := len(b.Events); n > 0 {
				upTo = max(upTo, b.Events[n-1].CommitTS)
			}
		}
	}
	if last {
		upTo = max(upTo, l.head+uint64(l.size))
	}
	for upTo = min(upTo, l.s.LastInLog); l.head < upTo; l.head++ {
		line, err := l.log.Next()
		if err != nil {
			return err
		}
		l.window = append(l.window, *line.Event)
	}
	return nil
}

// judge judges a section; the last one is empty, and streams end in it.
func (l *long) judge(fresh []*history.Operation, last bool) {
	hold := uint64(math.MaxUint64)  // what streams that end have not shown must be at hand
	for id, st := range l.streams { // each by itself; sorted below
		st.Quiet++
		ended := st.Op.Return != 0 && st.Op.Return < l.clock
		switch {
		case st.Now != nil || !ended && !last:
			st.Quiet = 0
		case st.Quiet == 1 || last:
			again := *st.Op
			fresh = append(fresh, &again)
			if st.At != nil {
				hold = min(hold, st.At.Next-1)
			}
		case st.Quiet > 2:
			delete(l.streams, id)
		}
		st.Now = nil
	}
	if len(fresh) > 0 {
		defer func(call int64) { l.clock = max(l.clock, call) }(slices.MaxFunc(fresh, history.ByCall).Call)
	}
	slices.SortFunc(fresh, history.ByCall)
	l.advance(hold)
	h := &history.History{Header: l.s.Header, Operations: slices.Concat(l.carried, l.prev, fresh), Log: l.window, Complete: true, Gaps: l.s.Gaps}
	slices.SortFunc(h.Operations, history.ByCall)
	h.Header.Base = l.state.base(h)
	part := &oracle.Section{
		Before: l.s.Header.Base != nil, Fresh: fresh, After: l.judged, Known: l.proofs, Past: l.past, Streams: l.streams,
	}
	o := l.o
	o.SkipSerial = o.SkipSerial || l.number%secondJudge != 0
	r, j := check(h, o, part)
	l.number++
	h.Header.Base = l.s.Header.Base // of the file
	l.around = h
	l.take(&r, j)
	l.leave(j, fresh)
	l.judged = l.head
}
