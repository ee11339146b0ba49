package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/server"
)

// A program that writes down what it asked and was told, each request as it was sent,
// retries and all. The file is what `statehouse-sim check` judges, and what to send to
// somebody who is to find out what went wrong.
func Example_history() {
	ctx := context.Background()
	address, stop := exampleDaemon()
	defer stop()

	began := time.Now()
	recorder := record.NewRecorder(func() int64 { return int64(time.Since(began)) })
	conn, err := client.Connect(client.Config{Address: address})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	// A name for each that has one request under way at a time. They may share the
	// connection.
	alice, err := client.New(recorder.Conn("alice", conn), client.Config{})
	if err != nil {
		log.Fatal(err)
	}
	bob, err := client.New(recorder.Conn("bob", conn), client.Config{})
	if err != nil {
		log.Fatal(err)
	}

	put := client.Put("planner", "goal", json.RawMessage(`{"city":"Paris"}`))
	if _, err := alice.Transact(ctx, client.Batch{Writes: []client.Write{put}}); err != nil {
		log.Fatal(err)
	}
	if _, err := bob.Get(ctx, "planner", "goal"); err != nil {
		log.Fatal(err)
	}

	// At the end the whole namespace is read once: now nothing of it is missing, whatever
	// became of answers that were lost.
	for _, err := range bob.Replay(ctx, client.ReplayQuery{AllAgents: true}) {
		if err != nil {
			log.Fatal(err)
		}
	}
	recorded := recorder.History()
	recorded.Header.Source = "client"
	var file bytes.Buffer // or os.Create("history.jsonl")
	if err := recorded.Write(&file); err != nil {
		log.Fatal(err)
	}

	// What statehouse-sim check does.
	recorded, err = history.ReadHistory(&file)
	if err != nil {
		log.Fatal(err)
	}
	missing := recorded.Rebuild()
	fmt.Println(len(recorded.Operations), "operations,", len(recorded.Log), "commits,", len(missing), "missing:", linearizability.Check(recorded, linearizability.Options{}).Verdict)
	// Output: 3 operations, 1 commits, 0 missing: ok
}

// exampleDaemon is a daemon in this process; yours is a statehoused.
func exampleDaemon() (address string, stop func()) {
	env := engine.MemoryEnv(func(err error) { log.Fatal(err) }, nil)
	service, err := server.Assemble(env, server.Config{Engine: engine.Options{Dir: "data"}})
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- service.Serve(ctx, nil, l) }()
	return l.Addr().String(), func() {
		cancel()
		<-done
		_ = service.Close()
	}
}
