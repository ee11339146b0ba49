package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"

	"statehouse.dev/statehouse/client"
)

// A step of an agent: what it noted and what it decided become durable together.
func Example() {
	ctx := context.Background()
	c, err := client.Dial(client.Config{}) // localhost:50051
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	commit, err := c.Transact(ctx, client.Batch{
		Writes: []client.Write{
			client.Put("planner", "note/1", json.RawMessage(`{"text":"Paris is in France"}`)),
			client.Put("planner", "goal", json.RawMessage(`{"city":"Paris"}`)).IfVersion(0),
		},
		Conditions: client.Conditions{Metadata: map[string]string{"run_id": "r-17"}},
	})
	switch unknown := (*client.OutcomeUnknownError)(nil); {
	case errors.Is(err, client.ErrPreconditionFailed):
		fmt.Println("somebody else has set the goal")
	case errors.As(err, &unknown):
		fmt.Println("ask for transaction", unknown.TxnID, "later")
	case err != nil:
		log.Fatal(err)
	}
	fmt.Println("committed as", commit.CommitTS)

	// A read-modify-write that many may do at once.
	_, err = c.RunTxn(ctx, func(txn *client.Txn) error {
		rec, err := txn.Get(ctx, "planner", "visits")
		if err != nil {
			return err
		}
		var visits struct{ Count int }
		if rec.Exists {
			if err := json.Unmarshal(rec.Value, &visits); err != nil {
				return err
			}
		}
		visits.Count++
		value, err := json.Marshal(visits)
		if err != nil {
			return err
		}
		return txn.Write(ctx, "planner", "visits", value)
	})
	if err != nil {
		log.Fatal(err)
	}

	// What happened, in order.
	for event, err := range c.Replay(ctx, client.ReplayQuery{Agent: "planner"}) {
		if err != nil {
			log.Fatal(err)
		}
		for _, op := range event.Operations {
			fmt.Println(event.CommitTS, op.Key, op.Version, string(op.Value))
		}
	}
}
