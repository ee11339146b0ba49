package linearizability

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// What is in memory at a time of a long history, where the Options do not say.
const (
	sectionSize   = 20_000
	rememberTxns  = 1 << 20 // finished transactions, at least
	carrySections = 4       // how long a transaction is kept that does not end
	serialEvery   = 16      // of so many sections, the serial judge sees one
)

// long is the check of a history that is longer than memory, section by section. A section is
// judged as an ordinary history that begins in the middle, together with the end of the one
// before it and the open transactions: operations that depend on each other are rarely further
// apart. An oracle.Section says what else the earlier sections know.
type long struct {
	index  *history.Index
	o      Options
	size   int
	ops    *history.Lines
	log    *history.Lines
	seen   map[int]*[1024]uint64 // numbers of operations, a bit each
	result Result
	around *history.History // the last section

	state    *running
	window   []history.Event // of the log, after state
	head     uint64          // the end of it
	judged   uint64          // how far it has been judged
	number   int             // of sections
	prev     []*history.Operation
	carried  []*history.Operation // of open transactions, from before prev
	born     map[string]int       // when those began to be carried
	known    []known
	finished *finished
	streams  streams
	unasked  map[string]uint64 // commits that no client has asked for so far
}

// CheckLong judges a history of any length that has its log. What has to be in memory is
// each key's last version, and a section or two. It stops at the first section in which a
// guarantee is broken, and returns it. The verdict is that of Check, with limits.
//
// Older than a quarter of a section (5,000 operations): overwritten versions, as-of reads and
// replays are checked for order only. An answer about a transaction that ended earlier is
// checked for its commit only. A page's predecessor must be nearer than that. Why a commit was
// refused is not checked if it left no event. The serial judge sees one section in 16.
func CheckLong(index *history.Index, o Options) (*history.History, Result, error) {
	if !index.Complete {
		return nil, Result{Verdict: verdict.Unknown}, errors.New("its log is not complete: it has to be judged as a whole")
	}
	l := &long{
		index: index, o: o, size: o.SectionSize, seen: make(map[int]*[1024]uint64), result: Result{Verdict: verdict.OK},
		state: newRunning(index.Header.Base), born: make(map[string]int), finished: newFinished(rememberTxns),
		streams: streams{byID: make(map[int]*stream)}, unasked: make(map[string]uint64),
	}
	if l.size == 0 {
		l.size = sectionSize
	}
	l.head, l.judged = l.state.ts, l.state.ts
	l.ops = history.NewLines(index.In, index.Ops, index.OpsL, func(kind []byte) bool { return string(kind) == "op" || string(kind) == "batch" })
	defer l.ops.Close()
	l.log = history.NewLines(index.In, index.Log, index.LogL, func(kind []byte) bool { return string(kind) == "event" })
	defer l.log.Close()
	if err := l.run(); err != nil {
		return nil, Result{Verdict: verdict.Unknown}, err
	}
	st := &l.result.Stats
	st.Operations, st.Commits, st.Gaps = index.Operations, index.Events, len(index.Gaps)
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
			l.o.Progress(l.ops.At(), l.index.Size)
		}
		if len(l.result.Violations) > 0 {
			return nil
		}
		if last && l.head == l.index.LastInLog {
			l.judge(nil, true) // streams end in it
			l.checkUnasked()
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
				l.streams.begin(op)
			}
			fresh = append(fresh, op)
			continue
		}
		op, again := l.streams.receive(line.Batch)
		switch {
		case op == nil && l.first(line.Batch.Op):
			return nil, fmt.Errorf("there is a batch of operation %d, which does not come before it", line.Batch.Op)
		case op == nil:
			l.result.Stats.Dangling++ // nothing had come of it for long
			continue
		case again:
			fresh = append(fresh, op)
		}
		weight += len(line.Batch.Events)
	}
	slices.SortFunc(fresh, history.ByCall)
	return fresh, nil
}

// first reports whether an operation's number comes for the first time.
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

// pull reads the log as far as the operations speak of it; after the last one, on.
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
	for upTo = min(upTo, l.index.LastInLog); l.head < upTo; l.head++ {
		line, err := l.log.Next()
		if err != nil {
			return err
		}
		l.window = append(l.window, *line.Event)
	}
	return nil
}
