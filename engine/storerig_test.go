package engine_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// What the tests of storage share: an engine on a simulated disk, stepped by
// whoever waits for it, and a script of commits that says what its log must hold.

// The store is two directories below what exists, so that the engine has to make
// both of them durable.
const rigDir = "/srv/agents/statehouse"

// fullSweep asks for every case instead of a sample. It is asked in a test, not
// once for all: go test caches by the variables that tests look at.
func fullSweep() bool { return os.Getenv("STATEHOUSE_SWEEP") == "full" }

// raceBuild reports whether the race detector is on. With it Pebble checks itself, too,
// and takes twenty times as long over a run in which next to nothing runs at once. What
// enumerates such runs therefore does few of them under the detector; "make race" also
// runs this package without, and there they are all.
func raceBuild() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// stride is the distance between the cases that a test takes of an enumeration, when it
// takes every nth: all of them in the full sweep, few under the race detector.
func stride(n int) int {
	switch {
	case fullSweep():
		return 1
	case raceBuild():
		return 7 * n // 7 has no factor in common with what is taken in turn
	}
	return n
}

// seeds are those from 0 on, below n: a few of them under the race detector.
func seeds(n uint64) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for seed := uint64(0); seed < n && yield(seed); seed += uint64(stride(1)) {
		}
	}
}

// rigTuning keeps files small and leaves nothing to Pebble's background but what
// the test asks for.
var rigTuning = engine.Tuning{MemTableBytes: 256 << 10, CacheBytes: 1 << 20, ManualCompaction: true}

// A rigClock goes on by a millisecond each time it is read.
type rigClock struct{ ms atomic.Int64 }

func (c *rigClock) now() time.Time {
	return time.UnixMilli(1_800_000_000_000 + c.ms.Add(1)).UTC()
}

// A process is one life of an engine.
type process struct {
	*engine.Engine
	disk  *simdisk.Disk
	clock *rigClock
	env   engine.Env
	// While grouping, a waiting request says so in waiting and leaves the stepping
	// to the test, so that several commits share a step.
	grouping atomic.Bool
	waiting  chan struct{}
	halts    atomic.Int32
	noSync   bool // how it is to be opened
	// lookedRows bounds what Find and Diff look at; 0: as usual.
	lookedRows int
	// txnOps and pieceRows are limits; 0: as usual.
	txnOps, pieceRows int
	mu                sync.Mutex
	logged            []string // events with what belongs to them
}

// said reports whether the engine has logged something with all of the words.
func (p *process) said(words ...string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.logged, func(line string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
	})
}

var errNobodyAnswers = errors.New("nothing is queued and nobody answers")

// newProcess makes the world of an engine on d. onHalt may be nil.
func newProcess(d *simdisk.Disk, clock *rigClock, onHalt func(error)) *process {
	p := &process{disk: d, clock: clock, waiting: make(chan struct{})}
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(1, uint64(clock.ms.Load())))
	p.env = engine.Env{
		FS:  d,
		Now: clock.now,
		Rand: func(b []byte) {
			mu.Lock()
			defer mu.Unlock()
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
		},
		Await: p.await,
		Log: func(event string, attrs ...any) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.logged = append(p.logged, event+fmt.Sprintln(attrs...))
		},
		Halt: func(err error) {
			p.halts.Add(1)
			if onHalt != nil {
				onHalt(err)
			}
		},
	}
	return p
}

func (p *process) await(ctx context.Context, ready <-chan struct{}) error {
	for {
		select {
		case <-ready:
			return nil
		default:
		}
		if p.grouping.Load() {
			p.waiting <- struct{}{}
			<-ready
			return nil
		}
		if !p.Step() {
			return errNobodyAnswers
		}
	}
}

// Plan plans a step and applies it: what happens until the next sync.
func (p *process) Plan() bool { return planAndApply(p.Engine) }

func planAndApply(e *engine.Engine) bool {
	if e.Plan() == nil {
		return false
	}
	e.Apply()
	return true
}

func (p *process) open() (err error) {
	t := rigTuning
	t.LookedRows, t.PieceRows = p.lookedRows, p.pieceRows
	p.Engine, err = engine.Open(p.env, engine.Options{Dir: rigDir, Tuning: t, NoSync: p.noSync, Limits: engine.Limits{TxnOps: p.txnOps}})
	return err
}

// openOn opens the store on d and fails the test when that fails.
func openOn(t *testing.T, d *simdisk.Disk, clock *rigClock) *process {
	t.Helper()
	p := newProcess(d, clock, func(err error) { t.Errorf("halted: %v", err) })
	if err := p.open(); err != nil {
		t.Fatalf("open: %v", err)
	}
	return p
}

// verifyOn runs Verify on d, which nobody has open.
func verifyOn(d *simdisk.Disk) (engine.Report, error) {
	return engine.Verify(newProcess(d, &rigClock{}, nil).env, rigDir, nil)
}

// An attempt is a commit that a client asked for.
type attempt struct {
	id       engine.TxnID
	writes   []engine.Write
	metadata map[string]string
	group    int                 // attempts of one group share a step, and so a batch
	result   engine.CommitResult // of one that was acknowledged
	acked    bool
}

// A script lists the attempts in the order of the log that they must make. The
// script writes it; a hook on the disk, on whatever goroutine, reads the counts.
type script struct {
	attempts []*attempt
	tried    atomic.Int64 // attempts[:tried] may be in the log
	acked    atomic.Int64 // attempts[:acked] must be
	groups   int
}

// fork starts a script that goes on where the first n attempts of s end.
func (s *script) fork(n int) *script {
	f := &script{attempts: s.attempts[:n:n], groups: s.groups}
	f.tried.Store(int64(n))
	f.acked.Store(int64(n))
	return f
}

func (s *script) attempt(writes []engine.Write) *attempt {
	a := &attempt{id: engine.TxnID(fmt.Sprintf("txn-%03d", len(s.attempts)+1)), writes: writes, group: s.groups}
	if len(s.attempts)%3 == 0 {
		a.metadata = map[string]string{"actor": "rig", "reason": fmt.Sprint("attempt ", len(s.attempts)+1)}
	}
	s.attempts = append(s.attempts, a)
	return a
}

func (s *script) ack(a *attempt, r engine.CommitResult) {
	a.result, a.acked = r, true
	s.acked.Add(1)
}

// commit is one Transact.
func (s *script) commit(p *process, writes ...engine.Write) error {
	return s.group(p, writes)
}

// group commits several write sets in one step.
func (s *script) group(p *process, sets ...[]engine.Write) error {
	s.groups++
	var as []*attempt
	for _, writes := range sets {
		as = append(as, s.attempt(writes))
	}
	s.tried.Add(int64(len(as)))
	errs := make([]error, len(as))
	transact := func(i int) {
		a := as[i]
		a.result, errs[i] = p.Transact(context.Background(), a.id, a.writes, engine.Conditions{Metadata: a.metadata})
	}
	if len(as) == 1 {
		transact(0)
	} else {
		var wg sync.WaitGroup
		p.grouping.Store(true)
		for i := range as {
			returned := make(chan struct{})
			wg.Go(func() { transact(i); close(returned) })
			select { // one is queued before the next is sent: their order is the script's
			case <-p.waiting:
			case <-returned:
			}
		}
		p.grouping.Store(false)
		p.Step()
		wg.Wait()
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, a := range as {
		s.ack(a, a.result)
	}
	return nil
}

// interactive commits through Begin, a read, Stage and Commit.
func (s *script) interactive(p *process, read engine.RecordName, writes ...engine.Write) error {
	id, _, _, err := p.Begin(nil)
	if err != nil {
		return err
	}
	if _, _, err := p.TxnGet(id, read); err != nil {
		return err
	}
	for _, w := range writes {
		if err := p.Stage(id, w); err != nil {
			return err
		}
	}
	s.groups++
	a := s.attempt(writes)
	a.id = id
	s.tried.Add(1)
	r, err := p.Commit(context.Background(), id, engine.Conditions{Metadata: a.metadata})
	if err != nil {
		return err
	}
	s.ack(a, r)
	return nil
}

// refused sees a transaction fail whose read no longer holds: it leaves no trace.
func (s *script) refused(p *process, read engine.RecordName, other engine.Write) error {
	id, _, _, err := p.Begin(nil)
	if err != nil {
		return err
	}
	if _, _, err := p.TxnGet(id, read); err != nil {
		return err
	}
	if err := p.Stage(id, put(read.Agent, "never", 1)); err != nil {
		return err
	}
	if err := s.commit(p, other); err != nil {
		return err
	}
	if _, err = p.Commit(context.Background(), id, engine.Conditions{}); !errors.Is(err, engine.ErrConflict) {
		return fmt.Errorf("commit of a transaction whose read has changed: %w", err)
	}
	return nil
}

// chatter makes n commits as agents do: small ones, of several agents, which read
// and write the same keys again and delete one now and then.
func (s *script) chatter(p *process, n int) error {
	rng := rand.New(rand.NewPCG(uint64(n), 5))
	for range n {
		var writes []engine.Write
		for range 1 + rng.IntN(3) {
			agent, key := fmt.Sprint("agent-", rng.IntN(4)), fmt.Sprint("key-", rng.IntN(20))
			w := putBig(agent, key, 20+rng.IntN(200))
			if rng.IntN(8) == 0 {
				w = remove(agent, key)
			}
			writes = append(writes, w)
		}
		if err := s.commit(p, writes...); err != nil {
			return err
		}
	}
	return nil
}

func name(agent, key string) engine.RecordName {
	return engine.RecordName{Namespace: engine.DefaultNamespace, Agent: agent, Key: key}
}

// put writes a value that says which one it is.
func put(agent, key string, n int) engine.Write {
	return engine.Write{Name: name(agent, key), Value: fmt.Appendf(nil, `{"n":%d,"of":%q}`, n, agent+"/"+key)}
}

// putIn is put in another namespace.
func putIn(namespace, agent, key string, n int) engine.Write {
	w := put(agent, key, n)
	w.Name.Namespace = namespace
	return w
}

func remove(agent, key string) engine.Write {
	return engine.Write{Name: name(agent, key), Tombstone: true}
}

// putBig writes a value of many bytes that do not compress.
func putBig(agent, key string, size int) engine.Write {
	rng := rand.New(rand.NewPCG(uint64(size), 7))
	text := make([]byte, size)
	for i := range text {
		text[i] = 'a' + byte(rng.IntN(26))
	}
	return engine.Write{Name: name(agent, key), Value: fmt.Appendf(nil, `{"text":"%s"}`, text)}
}
