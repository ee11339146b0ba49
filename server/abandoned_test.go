package server

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Clients that die after begin and write leave nothing once the timeout is over:
// neither memory nor transactions nor goroutines (the rig counts those).
func TestAbandonedTransactions(t *testing.T) {
	if underRace {
		t.Skip("what is held is counted, in megabytes: make race runs it without the detector")
	}
	r := newRig(t, func(c *Config, _ *engine.Env) {
		c.Engine.Limits = engine.Limits{OpenTxns: 1000, FinishedTxns: 1000}
	})
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	round := func() {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				conn := r.dial()
				defer conn.Close()
				dead := pb.NewStatehouseServiceClient(conn)
				for range 250 {
					begun, err := dead.BeginTransaction(timeout(t), &pb.BeginTransactionRequest{})
					if err == nil {
						_, err = dead.Write(timeout(t), &pb.WriteRequest{TxnId: begun.TxnId, AgentId: "a", Key: "k", ValueJson: textOf(20_000)})
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		if st, err := r.GetStatus(timeout(t), &pb.GetStatusRequest{}); err != nil || st.OpenTransactions != 1000 {
			t.Errorf("%v %v", st, err)
		}
		_, err := r.BeginTransaction(timeout(t), &pb.BeginTransactionRequest{})
		exhausted(t, "one more", err, "1000")
		r.advance(31 * time.Second)
		if st, err := r.GetStatus(timeout(t), &pb.GetStatusRequest{}); err != nil || st.PublishedTs != 0 {
			t.Errorf("%v %v", st, err)
		}
	}
	round()
	eventually(t, "they are gone", func() error {
		if st, err := r.GetStatus(timeout(t), &pb.GetStatusRequest{}); err != nil || st.OpenTransactions != 0 {
			return fmt.Errorf("%v %w", st, err)
		}
		return nil
	})
	before := heap()
	for range 3 { // 60 MB, were they kept
		round()
	}
	r.begin()
	if after := heap(); after > before+16<<20 {
		t.Errorf("%d MiB before, %d after", before>>20, after>>20)
	}
}
