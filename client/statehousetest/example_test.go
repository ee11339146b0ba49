package statehousetest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/statehousetest"
)

// Two workers, of which one sleeps too long: its lease lapses, and what it commits then is refused. In a test it is
// statehousetest.Start(t, …), which ends with the test.
func Example() {
	clock := statehousetest.NewClock(time.Time{})
	d, err := statehousetest.Run(statehousetest.Options{Clock: clock})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = d.Stop() }()
	c, err := d.Dial(client.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ctx := context.Background()

	slow, err := c.AcquireLease(ctx, "planner", "turn", client.LeaseOptions{Holder: "slow", TTL: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	clock.Advance(time.Hour) // at once
	if _, err := c.AcquireLease(ctx, "planner", "turn", client.LeaseOptions{Holder: "quick"}); err != nil {
		log.Fatal(err)
	}
	_, err = c.Transact(ctx, client.Batch{
		Writes:     []client.Write{client.Put("planner", "plan", []byte(`{"step":1}`))},
		Conditions: client.Conditions{Leases: []client.LeasePrecondition{slow.Condition()}},
	})
	fmt.Println("the slow one has lost its turn:", errors.Is(err, client.ErrLeaseLost))
	// Output: the slow one has lost its turn: true
}
