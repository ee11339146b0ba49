package sim

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"

	cluster "statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/wire"
	"statehouse.dev/statehouse/sim/copies"
	"statehouse.dev/statehouse/sim/sched"
	"statehouse.dev/statehouse/sim/simdisk"
)

// dataDir is where the daemon keeps its store on the simulated disk.
const dataDir = "/data"

// process is one process of the daemon, from its start to its death: the production
// assembly, with everything outside of it simulated.
type process struct {
	w          *World
	n          *node
	generation int // from 1, one a start
	service    *server.Service
	codec      encoding.CodecV2
	services   []registered
	member     *cluster.Node     // nil: it is alone
	appends    []*cluster.Append // that it gave its disk to store
	left       int               // commits that waited when it had gone round: a step is in flight
	asked      bool              // it is to confirm something, and has not gone round since
	shelf      copies.Shelf      // what it keeps for others
	coming     *coming           // the copy of another's store on its way here; nil: none is
	installs   bool              // a copy that has come is what it begins again on, in a moment
	fetchFrom  time.Duration     // it does not fetch before: what it tried has failed
	unary      grpc.UnaryServerInterceptor
	stream     grpc.StreamServerInterceptor
	rand       *rand.ChaCha8
	syncs      *sched.Barrier // of the log; open but between plan and settle
	removals   *sched.Barrier // of what Pebble needs no more; shut while the process lives
	inflight   bool           // between plan and settle
	drain      *drain         // nil: it was not asked to stop
	goroutines int            // that there were before it
	troubled   bool           // something went wrong with its disk
	unflushed  int            // steps of the writer since what is in memory went to tables

	// Its death. Invariant: image, which is what the next process finds, is set once, inside
	// the operation in which this one dies.
	image  *simdisk.Disk
	how    string        // it died
	halted chan struct{} // closed by Halt, whose goroutine never goes on
	stuck  bool          // it hangs, has halted or is being closed: nothing else may close it
}

func (w *World) newProcess() *process {
	w.starts.count++
	var key [32]byte
	for i := range 4 {
		s := simdisk.Derive(w.seed, "daemon", w.name+fmt.Sprint(w.starts.count), fmt.Sprint(i))
		for j := range 8 {
			key[8*i+j] = byte(s >> (8 * j))
		}
	}
	p := &process{w: w, n: w.node, generation: w.starts.count, codec: wire.Codec(), rand: rand.NewChaCha8(key), syncs: sched.NewBarrier(), removals: sched.NewBarrier(), halted: make(chan struct{})}
	p.troubled = w.machine.capacity != 0 || w.machine.pristine != nil
	p.goroutines = runtime.NumGoroutine() - w.coroutines()
	p.syncs.Set(true)
	return p
}

func (p *process) env() engine.Env {
	return engine.Env{
		FS:    p.n.machine.disk,
		Now:   p.n.now,
		Rand:  func(b []byte) { _, _ = p.rand.Read(b) }, // never fails
		Await: p.w.tasks.Await,
		Halt:  p.halt,
		Log:   p.log,
	}
}

// die ends the process: nothing that it still does has any effect. reap buries it when
// the step is done.
func (p *process) die(image *simdisk.Disk, how string) { p.image, p.how = image, how }

// halt is the engine's Env.Halt. As in production the process ends here: what
// it had written stays with the operating system, and whoever called is not
// heard of again. Pebble may be left with a lock held, so it is not closed.
func (p *process) halt(reason error) {
	if p.image == nil && !p.n.machine.disk.Dead() {
		p.die(p.n.machine.disk.Kill(), "halt: "+reason.Error())
		p.stuck = true
		close(p.halted)
	}
	select {}
}

// RegisterService notes the service, as a grpc.Server does.
func (p *process) RegisterService(desc *grpc.ServiceDesc, impl any) {
	p.services = append(p.services, registered{desc, impl})
}

// registered is a service that answers.
type registered struct {
	desc *grpc.ServiceDesc
	impl any
}

// assemble builds the service as production does.
func (p *process) assemble() (err error) {
	served := p.w.served
	served.Capture, served.Session = p.w.capturing(), p.sessionEnv()
	if p.n.id > 0 {
		served.Cluster, served.Engine.MustExist = membership{p}, true
		if err := p.recover(); err != nil {
			return err
		}
	}
	p.service, err = server.Assemble(p.env(), served)
	if p.n.joins && errors.Is(err, engine.ErrNoStore) { // it has yet to come
		p.service = nil
		return p.join()
	}
	if err == nil {
		p.unary, p.stream = p.service.Interceptors()
		p.service.Register(p)
		if p.n.id > 0 {
			err = p.join()
		}
	}
	return err
}

// closeAll closes what the process has open.
func (p *process) closeAll() error {
	var all []error
	if p.coming != nil {
		all = append(all, p.coming.Close())
	}
	if p.member != nil {
		if p.service != nil { // as the loop of a member ends: what waits would be committed by this one alone, else
			p.service.Engine().Follow()
		}
		all = append(all, p.member.Close())
	}
	if p.service != nil {
		all = append(all, p.service.Close())
	}
	return errors.Join(all...)
}

// act runs what may touch the disk, and comes back when it is done or the process
// has halted in the middle of it. A panic is a violation: it is the engine's way
// to say that an invariant is broken.
func (p *process) act(f func()) {
	done := make(chan string, 1)
	go func() {
		defer func() {
			broken := recover()
			if broken == nil {
				done <- ""
				return
			}
			done <- fmt.Sprintf("%v\n%s", broken, debug.Stack())
		}()
		f()
	}()
	broken, ended := p.watch(done)
	switch {
	case !ended:
		p.w.rec.violate("G9", "hang", 0, "the daemon does not get done, and no step can wake it")
		if p.image == nil {
			p.die(p.n.machine.disk.Kill(), "hang")
			p.stuck = true
		}
	case broken != "":
		p.w.rec.violate("G7", "panic", 0, "the daemon panicked: "+broken)
	}
	p.w.quiesce()
}

// How long the daemon may take over what takes it milliseconds. It is the only real time in a
// run, decides nothing but that the run has failed, and is counted so that a busy machine makes
// no difference: none passes while the process does not have the processor.
const (
	idleTime = 2 * time.Second  // while all of its goroutines wait, in naps: Pebble sleeps, if at all, for 100 ms
	nap      = time.Millisecond // however long it took
	busyTime = 5 * time.Second  // of the processor, while some of them are busy, with nothing that ends
)

// watch waits until what acts is done or the process has halted. One that waits
// for a sync inside of a step gets it, and so for a removal: only the sync that a step
// leaves behind waits for settle.
func (p *process) watch(done <-chan string) (broken string, ended bool) {
	var idle, begin time.Duration
	for idle < cmp.Or(p.w.idle, idleTime) {
		quiet := p.w.quiesce()
		select {
		case broken = <-done:
			return broken, true
		case <-p.halted:
			return "", true
		default:
		}
		if quiet && !p.release() {
			time.Sleep(nap)
			idle += nap
			continue
		}
		switch used := processorTime(); {
		case begin == 0:
			begin = used
		case used-begin > busyTime:
			return "", false
		}
	}
	return "", false
}
