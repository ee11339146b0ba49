// Package live judges the real daemon: its binary, its process, its disk and real
// connections. It runs the simulator's workloads with real clients at once, kills
// and stops the daemon meanwhile, and gives what every client was told to the same
// judge as the simulator does (package linearizability).
//
// It is a rung closer to reality than the simulator, and a rung further from a
// proof: a run does not follow from its seed, since the operating system schedules
// it, and the page cache outlives a killed process, so that only the simulator loses
// what was not synced.
package live

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim/intent"
)

// Options of a run.
type Options struct {
	Daemon string   // the binary
	Args   []string // flags for it, besides the address and the directory
	Dir    string   // of its store: empty, or not there yet

	// For is how long the clients work; AtLeast, so many operations even if that takes
	// longer (within Patience): on a busy machine a second can be nothing.
	For     time.Duration
	AtLeast int
	Clients int
	Kills   int // SIGKILL, and a start
	Stops   int // SIGSTOP, and SIGCONT some time later
	Seed    uint64
	// Terms is how often it gets a SIGTERM, and is started again.
	Terms int

	// Members is how many daemons keep the store; with more than one Kills and Stops are of the one that leads, Terms
	// are kills of another, and Deaf is how often the one that leads does not hear the others, which hear it.
	Members int
	Deaf    int

	// Capture, when set, is a file for what the daemon itself recorded of the run.
	Capture string

	// Progress, when not nil, is told several times a second how far the run is.
	Progress func(Stats)
	// Wrap, when not nil, is put between the recorder and the network: a place for
	// lies, to see them caught.
	Wrap func(client string, conn grpc.ClientConnInterface) grpc.ClientConnInterface
	// Patience is how long anything may take that is waited for. It is only ever spent
	// when something is wrong; one minute.
	Patience time.Duration
}

// Stats say what a run was made of.
type Stats struct {
	Seconds    float64 `json:"seconds"`
	Operations int     `json:"operations"`
	Acked      int     `json:"acked_commits"`
	Commits    int     `json:"commits"` // in the log
	// Unknown: attempts to commit whose client was not told what became of them.
	// Applied of them are in the log.
	Unknown   int  `json:"unknown_outcomes"`
	Applied   int  `json:"unknown_applied"`
	Broken    int  `json:"broken_calls"` // others whose client was told nothing
	Kills     int  `json:"kills"`
	Stops     int  `json:"stops"`
	Terms     int  `json:"terms"`
	Cuts      int  `json:"cuts,omitempty"` // of connections, by a proxy
	Processes int  `json:"lives"`          // of the daemon
	Verified  bool `json:"verified"`
	// Outages are for how long at worst no commit was acknowledged, one for each fault of a member that led.
	Outages []time.Duration `json:"outages_ns,omitempty"`
}

// Add adds another run's. All stores are verified only if each is.
func (s *Stats) Add(o *Stats) {
	s.Verified = o.Verified && (s.Verified || s.Processes == 0)
	s.Seconds += o.Seconds
	s.Operations += o.Operations
	s.Acked += o.Acked
	s.Commits += o.Commits
	s.Unknown += o.Unknown
	s.Applied += o.Applied
	s.Broken += o.Broken
	s.Kills += o.Kills
	s.Stops += o.Stops
	s.Terms += o.Terms
	s.Cuts += o.Cuts
	s.Processes += o.Processes
	s.Outages = append(s.Outages, o.Outages...)
}

// Result is what became of a run.
type Result struct {
	Stats      Stats
	Violations []verdict.Violation // none: every guarantee held, as far as was checked
	Judged     linearizability.Result
	History    *history.History
}

// Vacuous reports whether a run did so little that it proves nothing.
func (r *Result) Vacuous() bool {
	return r.Stats.Acked < 10 || r.Stats.Operations < 100
}

// Verdict on the run as a whole, not on its history alone.
func (r *Result) Verdict() verdict.Verdict {
	if len(r.Violations) > 0 {
		return verdict.Illegal
	}
	return r.Judged.Verdict
}

// run is one on the way.
type run struct {
	o       Options
	daemon  *daemon
	cluster *cluster // nil: the daemon is alone
	struck  []span   // by faults, of the member that led
	rec     *record.Recorder
	told    *intent.Recorder // what the clients' users were
	begun   time.Time

	mu         sync.Mutex
	stats      Stats
	violations []verdict.Violation
}

// Run runs the daemon, and judges it. The error is of the harness: whatever the
// daemon does wrong is a violation.
func Run(ctx context.Context, o Options) (*Result, error) {
	r, err := begin(ctx, o)
	if err != nil {
		return nil, err
	}
	defer r.end()
	if err := r.commotion(ctx); err != nil {
		return nil, err
	}
	var log []history.Event
	complete := false
	if r.alive() && o.Capture != "" {
		if err := r.dumpCapture(ctx); err != nil {
			return nil, err
		}
	}
	if r.alive() {
		if log, complete, err = r.audit(ctx); err != nil {
			return nil, err
		}
		if r.cluster != nil {
			r.verifyCluster(ctx)
		} else {
			r.verify(ctx)
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return r.judge(log, complete), nil
}

// begin starts the daemon. Who calls it ends the daemon, too.
func begin(ctx context.Context, o Options) (*run, error) {
	if o.Patience == 0 {
		o.Patience = time.Minute
	}
	r := &run{o: o, begun: time.Now()}
	clock := func() int64 { return int64(time.Since(r.begun)) }
	r.rec, r.told = record.NewRecorder(clock), intent.NewRecorder(intent.Options{Now: clock})
	if o.Members > 1 {
		if err := r.beginCluster(ctx); err != nil {
			r.end()
			return nil, fmt.Errorf("the cluster does not serve at all: %w", err)
		}
		return r, nil
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	r.daemon = &daemon{binary: o.Daemon, dir: o.Dir, address: address, args: o.Args}
	if o.Capture != "" {
		r.daemon.args = append(slices.Clone(o.Args), "--capture")
	}
	if err := r.daemon.start(ctx, r.o.Patience); err != nil {
		r.daemon.kill()
		return nil, fmt.Errorf("the daemon does not serve at all: %w", err)
	}
	r.count(func(s *Stats) { s.Processes++ })
	return r, nil
}

func (r *run) end() {
	if r.cluster != nil {
		r.cluster.close()
	} else {
		r.daemon.kill()
	}
}

// commotion is the run itself: clients at work, and a nemesis beside them.
func (r *run) commotion(ctx context.Context) error {
	stop := make(chan struct{})
	working, giveUp := context.WithCancel(ctx)
	defer giveUp()
	var clients sync.WaitGroup
	for i := range r.o.Clients {
		c, err := r.connect(i)
		if err != nil {
			return err
		}
		clients.Go(func() {
			defer c.close()
			c.work(working, stop)
		})
	}
	watched, unwatch := context.WithCancel(ctx)
	defer unwatch()
	go r.tell(watched)
	if r.cluster != nil {
		r.harassCluster(ctx)
	} else {
		r.harass(ctx, plan(rand.New(rand.NewPCG(r.o.Seed, 1)), &r.o))
	}
	until(ctx, r.begun.Add(r.o.For))
	r.untilEnough(ctx)
	close(stop)
	done := make(chan struct{})
	go func() {
		clients.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(2 * r.o.Patience): // each of them gives up long before
		r.violate("G9", "no-end", "clients are still waiting %v after the last fault, whatever their deadlines", 2*r.o.Patience)
		giveUp()
		<-done
	}
	return nil
}

// dumpCapture fetches what the daemon recorded.
func (r *run) dumpCapture(ctx context.Context) error {
	c, err := client.Dial(client.Config{Address: r.daemon.address})
	if err != nil {
		return err
	}
	defer c.Close()
	f, err := os.Create(r.o.Capture)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Patience)
	defer cancel()
	err = c.DumpCapture(ctx, f, client.RedactValues)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("the daemon's capture: %w", err)
	}
	return nil
}

// untilEnough waits until the run has made as many operations as it should.
func (r *run) untilEnough(ctx context.Context) {
	for deadline := time.Now().Add(r.o.Patience); time.Now().Before(deadline) && ctx.Err() == nil && r.alive(); {
		if n, _ := r.rec.Counts(); n >= r.o.AtLeast {
			return
		}
		until(ctx, time.Now().Add(20*time.Millisecond))
	}
}

// tell reports how far the run is.
func (r *run) tell(ctx context.Context) {
	if r.o.Progress == nil {
		return
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.o.Progress(r.soFar())
		}
	}
}

func (r *run) soFar() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Operations, s.Acked = r.rec.Counts()
	s.Seconds = time.Since(r.begun).Seconds()
	return s
}

func (r *run) count(f func(*Stats)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.stats)
}

func (r *run) violate(guarantee, check, format string, args ...any) {
	v := verdict.Violation{Guarantee: guarantee, Check: check, Sentence: fmt.Sprintf(format, args...), Time: int64(time.Since(r.begun))}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.violations = append(r.violations, v)
}

// alive reports whether the daemon runs, or every member but those that were killed.
func (r *run) alive() bool { return r.dead() == nil }

// dead is the daemon, or a member, that has ended; nil: there is none.
func (r *run) dead() *daemon {
	all := []*daemon{r.daemon}
	if r.cluster != nil {
		all = r.cluster.members
	}
	for i, d := range all {
		if r.cluster != nil && r.cluster.down[i].Load() {
			continue
		}
		select {
		case <-d.ended:
			return d
		default:
		}
	}
	return nil
}

// notJudged is a failure, not a pass.
var notJudged = verdict.Violation{
	Guarantee: "G3", Check: "not-judged", Sentence: "the history could not be judged in time: that is a failure, not a pass",
}

// judge gives the history to the judge.
func (r *run) judge(log []history.Event, complete bool) *Result {
	h := r.rec.History()
	h.Log, h.Complete = log, complete
	h.Header.Source = "live"
	h.Header.Config = map[string]string{
		"for": r.o.For.String(), "clients": strconv.Itoa(r.o.Clients), "seed": strconv.FormatUint(r.o.Seed, 10),
		"kills": strconv.Itoa(r.o.Kills), "stops": strconv.Itoa(r.o.Stops),
	}
	res := &Result{Violations: r.violations, History: h, Stats: r.soFar()}
	if complete {
		res.Judged = linearizability.Check(h, linearizability.Options{Seed: r.o.Seed, Samples: 2, SampleSize: 60})
		res.Violations = append(res.Violations, res.Judged.Violations...)
		res.Violations = append(res.Violations, intent.Judge(h, r.told.History(), intent.Network{})...)
		if res.Judged.Verdict == verdict.Unknown && len(res.Violations) == 0 {
			res.Violations = append(res.Violations, notJudged)
		}
	}
	res.Stats.resolve(h)
	res.Stats.Outages = outages(r.struck, h)
	return res
}

// resolve counts what clients were not told, and what the log says of it.
func (s *Stats) resolve(h *history.History) {
	s.Commits = len(h.Log)
	applied := make(map[string]bool)
	for i := range h.Log {
		applied[h.Log[i].TxnID] = true
	}
	for _, op := range h.Operations {
		switch {
		case op.Outcome != history.Unknown || op.Kind == history.Watch || op.Kind == history.Replay:
		case op.Kind != history.Commit && op.Kind != history.Transact:
			s.Broken++
		default:
			s.Unknown++
			if applied[op.In.TxnID] {
				s.Applied++
			}
		}
	}
}
