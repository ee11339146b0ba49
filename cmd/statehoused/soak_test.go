package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// What is here runs small by default, and at full size from .ci/soak, which reads the lines that
// begin with "soak:".

// soakSize is the size that an environment variable gives.
func soakSize(t *testing.T, name string, small int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return small
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q", name, text)
	}
	return n
}

// grow commits records that no compression makes smaller, 500 a transaction, until the store takes
// so many MB.
func (d *daemon) grow(dir string, mb int) {
	d.t.Helper()
	var last atomic.Int64
	var all sync.WaitGroup
	begin := time.Now().UnixNano() // no id is used twice
	for writer := range 4 {
		all.Go(func() {
			random := newRand(writer)
			raw := make([]byte, 1500)
			for onDisk(d.t, dir) < int64(mb)<<20 && !d.t.Failed() {
				n := last.Add(1)
				var ops []*pb.TransactOperation
				for i := range 500 {
					for j := range raw {
						raw[j] = byte(random.Uint32())
					}
					ops = append(ops, put(fmt.Sprint("agent-", n%64), fmt.Sprintf("%d/%d", n, i), `{"v":"`+base64.StdEncoding.EncodeToString(raw)+`"}`))
				}
				if _, err := d.Transact(call(d.t), &pb.TransactRequest{TxnId: fmt.Sprint("grow-", begin, "-", n), Operations: ops}); err != nil && detail(err) != pb.ErrorCode_OVERLOADED {
					d.t.Errorf("commit %d: %v", n, err)
				}
			}
		})
	}
	all.Wait()
}

// onDisk is how many bytes the files of a directory have.
func onDisk(t *testing.T, dir string) (n int64) {
	err := filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err != nil {
			return nil // it was removed meanwhile
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return n
}

// TestRecoveryTime: how long a daemon takes after kill -9 to answer is a matter of what it did last,
// not of how much there is.
func TestRecoveryTime(t *testing.T) {
	sizes := []int{soakSize(t, "STATEHOUSE_SOAK_SMALL_MB", 20), soakSize(t, "STATEHOUSE_SOAK_LARGE_MB", 100)}
	rounds := soakSize(t, "STATEHOUSE_SOAK_ROUNDS", 5)
	var dirs []string
	for _, mb := range sizes {
		dir := filepath.Join(t.TempDir(), "data")
		d := start(t, dir)
		d.grow(dir, mb)
		d.kill()
		dirs = append(dirs, dir)
	}
	took := make([][]time.Duration, len(dirs))
	for range rounds {
		for i, dir := range dirs {
			begin := time.Now()
			d := start(t, dir)
			if got, err := d.GetState(call(t), &pb.GetStateRequest{AgentId: "agent-1", Key: "1/0"}); err != nil || !got.Exists {
				t.Fatalf("after kill -9: %v %v", got, err)
			}
			took[i] = append(took[i], time.Since(begin))
			d.grow(dir, int(onDisk(t, dir)>>20)+10) // so that each start has something to recover
			d.kill()
		}
	}
	for i := range took {
		slices.Sort(took[i])
	}
	small, large := took[0][rounds/2], took[1][rounds/2]
	ratio := float64(large) / float64(small)
	fmt.Printf("soak: recovery %.2f\n", ratio)
	t.Logf("%d MB: %v; %d MB: %v", sizes[0], took[0], sizes[1], took[1])
	// Where little is recovered a start takes as long as the machine lets it.
	if ratio > 3 && (sizes[1] > 1000 || large > 2*time.Second) {
		t.Errorf("with %d MB it takes %v, %.1f times as long as with %d MB", sizes[1], large, ratio, sizes[0])
	}
}

// TestMemoryOfAllAtOnce: more connections than there may be, watches, and large values from many
// clients at once keep the daemon's memory within its limit and a fifth.
func TestMemoryOfAllAtOnce(t *testing.T) {
	limitMB := soakSize(t, "STATEHOUSE_SOAK_MEMORY_MB", 512)
	conns, watches := soakSize(t, "STATEHOUSE_SOAK_CONNECTIONS", 500), soakSize(t, "STATEHOUSE_SOAK_WATCHES", 100)
	writers, lasting := soakSize(t, "STATEHOUSE_SOAK_WRITERS", 32), time.Duration(soakSize(t, "STATEHOUSE_SOAK_SECONDS", 5))*time.Second
	d := start(t, filepath.Join(t.TempDir(), "data"), fmt.Sprint("--memory-limit-mb=", limitMB), "--disk-reserve-mb=1", "--fsync-on-commit=false")
	ctx, stop := context.WithCancel(context.Background()) // not a deadline, which the daemon would be told and keep
	defer time.AfterFunc(lasting, stop).Stop()
	defer stop()
	c := &crowd{t: t, d: d, ctx: ctx, refused: map[string]int{}}
	var events atomic.Int64
	for first := 0; first < watches; first += 20 {
		s := pb.NewStatehouseServiceClient(c.dial())
		for i := first; i < min(first+20, watches); i++ {
			c.all.Go(func() {
				w, err := s.Watch(ctx, &pb.WatchRequest{AgentId: fmt.Sprint("agent-", i%writers)})
				for err == nil && i%4 > 0 { // every fourth is not read
					if _, err = w.Recv(); err == nil {
						events.Add(1)
					}
				}
				c.note("watches", err)
			})
		}
	}
	d.idle(conns)
	value := string(sized(1 << 20))
	c.again(writers, "writes", func(s pb.StatehouseServiceClient, i int) error {
		_, err := s.Transact(ctx, &pb.TransactRequest{TxnId: fmt.Sprint("w-", i), Operations: []*pb.TransactOperation{put(fmt.Sprint("agent-", i/1_000_000), fmt.Sprint(i%10), value)}})
		return err
	})
	c.all.Wait()
	peak := d.memory("VmHWM")
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	fmt.Printf("soak: memory %.2f\n", float64(peak)/float64(int64(limitMB)<<20))
	t.Logf("peak %d MiB of %d, %d writes, %d events, refused: %v", peak>>20, limitMB, c.served.Load(), events.Load(), c.refused)
	for _, err := range c.other {
		t.Error(err)
	}
	if c.served.Load() < int64(writers) || events.Load() == 0 {
		t.Error("next to nothing was done: this is not about memory")
	}
	if peak > int64(limitMB)<<20*12/10 && !raceEnabled {
		t.Errorf("the peak is %d MiB, the limit %d", peak>>20, limitMB)
	}
	d.terminate()
}
