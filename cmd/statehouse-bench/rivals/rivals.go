// Package rivals starts other databases and measures them as Statehouse is measured: the
// same records of the same size, a commit that is a write of the record and an entry in a
// log (which names the transaction, as an event does), and every answer synced to disk
// first.
//
// Their protocols are spoken here directly, as much of them as the operations need. So the
// product depends on no driver of a database, and what a rival's client costs is close to
// the least that it can cost: a driver would only add to it.
package rivals

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"sync"

	"statehouse.dev/statehouse/cmd/statehouse-bench/bench"
	"statehouse.dev/statehouse/cmd/statehouse-bench/child"
)

// Names of the rivals.
const (
	Redis      = "redis"
	PostgreSQL = "postgresql"
	Etcd       = "etcd"
	NATS       = "nats"
)

// All are the rivals that Start knows.
var All = []string{Redis, PostgreSQL, Etcd, NATS}

// start says how each is started in a directory.
var start = map[string]func(ctx context.Context, dir string) (*child.Process, dialer, error){
	Redis: startRedis, PostgreSQL: startPostgres, Etcd: startEtcd, NATS: startNATS,
}

// Names are those of the operations.
type Names struct{ Read, Commit, Batch, History string }

// None are the operations of a rival that is missing: nothing can do them.
func (n Names) None() map[string]bench.Op {
	return map[string]bench.Op{n.Read: nil, n.Commit: nil, n.Batch: nil, n.History: nil}
}

// record is one to write, and the transaction that writes it.
type record struct {
	txn, key string
	value    []byte
}

// driver speaks to a rival for one client.
type driver interface {
	read(ctx context.Context, key string) (value []byte, err error)
	// commit writes each record and an entry of a log, all or none of them. The log is the
	// one that history reads, or another.
	commit(ctx context.Context, records []record, history bool) error
	// history reads about so many entries of the log that come next, and begins anew after
	// the last; it returns how many.
	history(ctx context.Context, about int) (int, error)
	close()
}

type dialer func(ctx context.Context) (driver, error)

// Rival is one that was started.
type Rival struct {
	name    string
	process *child.Process
	dial    dialer
	values  [][]byte
	records int

	mu      sync.Mutex
	drivers map[int]driver // of the clients
}

const (
	batchSize  = 100
	pageEvents = 5000
)

// Start starts a rival in a directory. The values are written in turn.
func Start(ctx context.Context, name, dir string, values [][]byte) (*Rival, error) {
	process, dial, err := start[name](ctx, dir)
	if err != nil {
		return nil, err
	}
	return &Rival{name: name, process: process, dial: dial, values: values, drivers: make(map[int]driver)}, nil
}

// End ends it.
func (r *Rival) End() {
	for _, d := range r.drivers { // order cannot matter
		d.close()
	}
	r.process.End()
}

// of is the driver of a client, a connection of its own as pools have it.
func (r *Rival) of(ctx context.Context, client int) (driver, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.drivers[client]
	if d == nil {
		var err error
		if d, err = r.dial(ctx); err != nil {
			return nil, fmt.Errorf("connecting: %w", err)
		}
		r.drivers[client] = d
	}
	return d, nil
}

func name(i int) string { return fmt.Sprintf("agent-%03d/memory/%08d", i%64, i) }

// write is a record with a value of those that there are.
func (r *Rival) write(i int) record {
	return record{txn: fmt.Sprintf("%016x-%016x", rand.Uint64(), rand.Uint64()), key: name(i), value: r.values[rand.IntN(len(r.values))]}
}

func (r *Rival) commit(ctx context.Context, client int, history bool, records ...record) error {
	d, err := r.of(ctx, client)
	if err != nil {
		return err
	}
	return d.commit(ctx, records, history)
}

// Prepare writes the records, and the log that history reads.
func (r *Rival) Prepare(ctx context.Context, records, events int) error {
	r.records = records
	err := bench.Share(ctx, 8, (records+batchSize-1)/batchSize, func(client, i int) error {
		return r.commit(ctx, client, false, r.batch(i*batchSize)...)
	})
	if err != nil {
		return err
	}
	return bench.Share(ctx, 64, events, func(client, i int) error { return r.commit(ctx, client, true, r.write(i%records)) })
}

func (r *Rival) batch(first int) []record {
	all := make([]record, batchSize)
	for i := range all {
		all[i] = r.write((first + i) % r.records)
	}
	return all
}

// Target is what is measured of it.
func (r *Rival) Target(names Names) *bench.Target {
	with := func(do func(ctx context.Context, client int, d driver) (int, error)) bench.Op {
		return func(ctx context.Context, client, _ int) (int, error) {
			d, err := r.of(ctx, client)
			if err != nil {
				return 0, err
			}
			return do(ctx, client, d)
		}
	}
	return &bench.Target{Name: r.name, Optional: true, CPU: r.process.CPU, Ops: map[string]bench.Op{
		names.Read: with(func(ctx context.Context, _ int, d driver) (int, error) {
			value, err := d.read(ctx, name(rand.IntN(r.records)))
			if err == nil && len(value) != len(r.values[0]) {
				err = errors.New("a record is missing")
			}
			return 1, err
		}),
		names.Commit: with(func(ctx context.Context, _ int, d driver) (int, error) {
			return 1, d.commit(ctx, []record{r.write(rand.IntN(r.records))}, false)
		}),
		names.Batch: with(func(ctx context.Context, _ int, d driver) (int, error) {
			return batchSize, d.commit(ctx, r.batch(rand.IntN(r.records)), false)
		}),
		names.History: with(func(ctx context.Context, _ int, d driver) (int, error) { return d.history(ctx, pageEvents) }),
	}}
}

// find looks for a program in PATH and where Debian has it.
func find(name, pkg string, elsewhere ...string) (string, error) {
	for _, candidate := range append([]string{name}, elsewhere...) {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed (Debian: apt install %s)", name, pkg)
}
