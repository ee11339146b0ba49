package client_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server"
)

func TestOperations(t *testing.T) {
	c := startDaemon(t, server.Config{}, nil).dial(client.Config{})
	ctx := t.Context()
	want := func(rec client.Record, err error, key, value string, version client.Version) {
		t.Helper()
		if err != nil || rec.Key != key || string(rec.Value) != value || rec.Version != version || rec.Namespace != "default" || rec.Agent != "a" {
			t.Errorf("%s is %s at version %d, %v, not %s is %s at %d", rec.Key, rec.Value, rec.Version, err, key, value, version)
		}
	}
	rec, err := c.Increment(ctx, "a", "n", "/used", "9007199254740993")
	want(rec, err, "n", `{"used":9007199254740993}`, 1)
	rec, err = c.Increment(ctx, "a", "n", "/used", "-0.5", client.AtLeast("0"), client.AtMost("1e20"))
	want(rec, err, "n", `{"used":9007199254740992.5}`, 2)
	_, err = c.Increment(ctx, "a", "n", "/used", "-9007199254740993", client.AtLeast("0"))
	var refused *client.Error
	if !errors.Is(err, client.ErrEvaluation) || !errors.As(err, &refused) || refused.Details["pointer"] != "/used" || refused.Details["key"] != "n" {
		t.Errorf("below its bound: %v", err)
	}
	rec, err = c.Merge(ctx, "a", "n", json.RawMessage(`{"used":null,"by":{"x":1}}`))
	want(rec, err, "n", `{"by":{"x":1}}`, 3)
	for i := range 3 {
		rec, err = c.Append(ctx, "a", "log/", fmt.Appendf(nil, `{"i":%d}`, i))
		want(rec, err, fmt.Sprintf("log/%016d", i+1), fmt.Sprintf(`{"i":%d}`, i), 1)
	}
	rec, existed, err := c.PutIfAbsent(ctx, "a", "once", json.RawMessage(`{"first":true}`))
	if want(rec, err, "once", `{"first":true}`, 1); existed {
		t.Error("what was absent existed")
	}
	rec, existed, err = c.PutIfAbsent(ctx, "a", "once", json.RawMessage(`{"first":false}`))
	if want(rec, err, "once", `{"first":true}`, 1); !existed {
		t.Error("what existed did not")
	}
	b := client.Batch{TxnID: "many", Writes: []client.Write{
		client.Append("a", "log/", []byte(`{}`)), client.Put("b", "plain", []byte(`{"n":1}`)), client.Increment("b", "plain", "/n", "1"), client.Append("a", "log/", []byte(`{}`)),
		client.PutIfAbsent("a", "once", []byte(`{}`)), client.Delete("a", "n"),
	}}
	for range 2 {
		commit, err := c.Transact(ctx, b)
		const want = `[{{default a log/0000000000000004} 1} {{default b plain} 1} {{default b plain} 1} {{default a log/0000000000000005} 1} {{default a once} 0} {{default a n} 4}]`
		if got := fmt.Sprint(commit.Versions); err != nil || got != want {
			t.Fatalf("%s, %v, not %s", got, err, want)
		}
		for i, r := range commit.Results {
			value := map[int]string{2: `{"n":2}`, 4: `{"first":true}`}[i]
			if string(r.Value) != value || r.Existed != (i == 4) {
				t.Errorf("%d: %+v", i, r)
			}
		}
	}
}

// TestOperationsInTransactions: increments of transactions do not conflict, and what they come to
// cannot be read before the commit.
func TestOperationsInTransactions(t *testing.T) {
	c := startDaemon(t, server.Config{}, nil).dial(client.Config{})
	ctx := t.Context()
	put(t, c, "a", "config", `{"step":2}`)
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for range 10 {
				if _, err := c.RunTxn(ctx, func(tx *client.Txn) error {
					if _, err := tx.Get(ctx, "a", "config"); err != nil {
						return err
					}
					return errors.Join(tx.Stage(ctx, client.Increment("a", "n", "/n", "2")), tx.Stage(ctx, client.Append("a", "log/", []byte(`{}`))))
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done.Wait()
	if rec, err := c.Get(ctx, "a", "n"); err != nil || string(rec.Value) != `{"n":160}` || rec.Version != 80 {
		t.Errorf("%s at %d, %v", rec.Value, rec.Version, err)
	}
	tx, err := c.Begin(ctx, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tx.Write(ctx, "a", "n", []byte(`{"n":1}`)), tx.Stage(ctx, client.Increment("a", "n", "/n", "1")), tx.Stage(ctx, client.Append("a", "log/", []byte(`{}`)))); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Get(ctx, "a", "n"); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("what is not known is read: %v", err)
	}
	if _, err := tx.Get(ctx, "a", "log/0000000000000099"); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("what is not known is read: %v", err)
	}
	for _, prefix := range []string{"", "lo", "log/00", "n"} {
		for _, err := range tx.ListKeys(ctx, "a", client.ListQuery{Prefix: prefix}) {
			if !errors.Is(err, client.ErrInvalid) {
				t.Errorf("what is not known is listed: %v", err)
			}
		}
	}
	if _, err := tx.Get(ctx, "a", "config"); err != nil {
		t.Error(err)
	}
	commit, err := tx.Commit(ctx)
	if err != nil || len(commit.Results) != 3 || string(commit.Results[1].Value) != `{"n":2}` || commit.Versions[2].Key != "log/0000000000000081" {
		t.Errorf("%+v, %v", commit, err)
	}
	held, err := c.BeginHeld(ctx, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := held.Stage(ctx, client.Increment("a", "n", "/n", "1")); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("a transaction that the daemon holds takes an increment: %v", err)
	}
}

// TestBytes: bytes come back as they were written, wherever values are read, and JSON that looks like
// what old readers have in their place stays JSON.
func TestBytes(t *testing.T) {
	d := startDaemon(t, server.Config{}, nil)
	c := d.dial(client.Config{})
	ctx := t.Context()
	data := make([]byte, 1<<20) // as large as a value may be
	for i := range data {
		data[i] = byte(i * i)
	}
	lookalike := json.RawMessage(`{"$bytes":"aGk=","$content_type":"text/plain"}`)
	write := client.PutBytes("a", "b", "image/png", data)
	for range 2 { // sent again it is the same
		if _, err := c.Transact(ctx, client.Batch{TxnID: "bytes", Writes: []client.Write{write, client.Put("a", "j", lookalike), client.PutBytes("a", "empty", "", nil)}}); err != nil {
			t.Fatal(err)
		}
	}
	other := client.PutBytes("a", "b", "image/jpeg", data)
	if _, err := c.Transact(ctx, client.Batch{TxnID: "bytes", Writes: []client.Write{other, client.Put("a", "j", lookalike), client.PutBytes("a", "empty", "", nil)}}); !errors.Is(err, client.ErrTxnIDReused) {
		t.Errorf("another content type is the same request: %v", err)
	}
	isBytes := func(where string, b *client.Bytes, value json.RawMessage) {
		t.Helper()
		if b == nil || b.ContentType != "image/png" || !bytes.Equal(b.Data, data) || value != nil {
			t.Errorf("%s: %d bytes of JSON, bytes %v", where, len(value), b != nil)
		}
	}
	rec, err := c.Get(ctx, "a", "b")
	if isBytes("get", rec.Bytes, rec.Value); err != nil || rec.Version != 1 {
		t.Error(rec.Version, err)
	}
	if rec, err = c.Get(ctx, "a", "j"); err != nil || rec.Bytes != nil || string(rec.Value) != string(lookalike) {
		t.Errorf("JSON comes back as %s, %v, %v", rec.Value, rec.Bytes, err)
	}
	if rec, err = c.Get(ctx, "a", "empty"); err != nil || rec.Bytes == nil || rec.Bytes.ContentType != "application/octet-stream" || len(rec.Bytes.Data) != 0 {
		t.Errorf("no bytes come back as %s, %v, %v", rec.Value, rec.Bytes, err)
	}
	rec, err = c.GetAtVersion(ctx, "a", "b", 1)
	if isBytes("at a version", rec.Bytes, rec.Value); err != nil {
		t.Error(err)
	}
	for r, err := range c.Scan(ctx, "a", client.ListQuery{Prefix: "b"}) {
		if isBytes("scan", r.Bytes, r.Value); err != nil {
			t.Error(err)
		}
	}
	for e, err := range c.History(ctx, "a", "b", client.HistoryQuery{}) {
		if isBytes("history", e.Bytes, e.Value); err != nil {
			t.Error(err)
		}
	}
	for ev, err := range c.Replay(ctx, client.ReplayQuery{Agent: "a"}) {
		if err != nil || len(ev.Operations) != 3 {
			t.Fatal(ev, err)
		}
		isBytes("replay", ev.Operations[0].Bytes, ev.Operations[0].Value)
	}
	old := pb.NewStatehouseServiceClient(c.Connection())
	for encoding, at := range map[pb.ValueEncoding]func(*pb.GetStateResponse) []byte{
		pb.ValueEncoding_VALUE_ENCODING_JSON:   func(r *pb.GetStateResponse) []byte { return r.GetValueJson() },
		pb.ValueEncoding_VALUE_ENCODING_STRUCT: func(r *pb.GetStateResponse) []byte { text, _ := r.GetValue().MarshalJSON(); return text },
	} {
		resp, err := old.GetState(ctx, &pb.GetStateRequest{AgentId: "a", Key: "b", Encoding: encoding})
		var v struct {
			Bytes []byte `json:"$bytes"`
			Type  string `json:"$content_type"`
		}
		if err != nil || json.Unmarshal(at(resp), &v) != nil || v.Type != "image/png" || !bytes.Equal(v.Bytes, data) || resp.GetContentType() != "" {
			t.Errorf("%v: %v", encoding, err)
		}
	}
	// Three of them are one answer to those who know bytes, and too much in base64.
	for i := range 3 {
		if _, err := c.Transact(ctx, client.Batch{Writes: []client.Write{client.PutBytes("big", fmt.Sprint(i), "x/y", data)}}); err != nil {
			t.Fatal(err)
		}
	}
	names := []*pb.RecordName{{AgentId: "big", Key: "0"}, {AgentId: "big", Key: "1"}, {AgentId: "big", Key: "2"}}
	if _, err := old.BatchGetState(ctx, &pb.BatchGetStateRequest{Names: names, Encoding: pb.ValueEncoding_VALUE_ENCODING_NATIVE}); err != nil {
		t.Error(err)
	}
	if _, err := old.BatchGetState(ctx, &pb.BatchGetStateRequest{Names: names, Encoding: pb.ValueEncoding_VALUE_ENCODING_JSON}); err == nil || !strings.Contains(err.Error(), "VALUE_ENCODING_NATIVE") {
		t.Errorf("an answer past what clients accept: %v", err)
	}
	for name, w := range map[string]client.Write{
		"more than a value": client.PutBytes("a", "b", "", make([]byte, 1<<20+1)), "a control character": client.PutBytes("a", "b", "a\nb", nil),
		"two values": {RecordName: client.RecordName{Agent: "a", Key: "b"}, Value: lookalike, Bytes: &client.Bytes{}},
	} {
		if _, err := c.Transact(ctx, client.Batch{Writes: []client.Write{w}}); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Increment(ctx, "a", "b", "/n", "1"); !errors.Is(err, client.ErrEvaluation) || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("an increment of bytes: %v", err)
	}
	// In both kinds of transactions.
	for _, held := range []bool{false, true} {
		tx, err := c.Begin(ctx, time.Minute)
		if held {
			tx, err = c.BeginHeld(ctx, time.Minute)
		}
		if err == nil {
			err = tx.Stage(ctx, write)
		}
		if err != nil {
			t.Fatal(err)
		}
		own, err := tx.Get(ctx, "a", "b")
		if isBytes("an own write", own.Bytes, own.Value); err != nil {
			t.Error(err)
		}
		if _, err := tx.Commit(ctx); err != nil {
			t.Error(err)
		}
	}
	d.restart()
	rec, err = c.Get(ctx, "a", "b")
	if isBytes("after a restart", rec.Bytes, rec.Value); err != nil || rec.Version != 3 {
		t.Error(rec.Version, err)
	}
}
