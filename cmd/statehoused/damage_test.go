package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// TestDamagedLargeValue: a byte of a value of 1 MiB is wrong on the disk. Four readers
// of it are told so at once, not after a search of half a minute each, and SIGTERM
// does not wait for anything of theirs.
func TestDamagedLargeValue(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	d := start(t, dir)
	text := make([]byte, 1<<20-100)
	var tail []byte
	for i := range 8 { // more than memory holds before it goes to a table
		rng := newRand(i)
		for j := range text {
			text[j] = 'a' + byte(rng.IntN(26))
		}
		if i == 1 {
			tail = bytes.Clone(text[len(text)-64:])
		}
		ops := []*pb.TransactOperation{put("a", fmt.Sprint("k", i), `{"text":"`+string(text)+`"}`)}
		for j := range 200 { // so that its block holds nothing that is read at start
			ops = append(ops, put("Before", fmt.Sprint(i, "-", j), `{"text":"`+string(text[:100])+`"}`))
		}
		if _, err := d.Transact(call(t), &pb.TransactRequest{TxnId: fmt.Sprint("large-", i), Operations: ops}); err != nil {
			t.Fatal(err)
		}
	}
	d.terminate()
	damage(t, dir, tail)

	d = start(t, dir)
	const readers = 4
	begun, told := time.Now(), make(chan error, readers)
	for range readers {
		go func() {
			_, err := d.GetState(call(t), &pb.GetStateRequest{AgentId: "a", Key: "k1", Encoding: pb.ValueEncoding_VALUE_ENCODING_JSON})
			told <- err
		}()
	}
	for range readers {
		if err := <-told; detail(err) != pb.ErrorCode_DATA_LOSS {
			t.Errorf("a reader is told %v", err)
		}
	}
	d.terminate()
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("four readers and SIGTERM took %v", took)
	}
}

// damage changes a byte of the table that holds tail, half a megabyte before it.
func damage(t *testing.T, dir string, tail []byte) {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "*", "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		content, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.Index(content, tail); at >= 0 {
			content[at-1<<19] ^= 8
			if err := os.WriteFile(table, content, 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("none of %d tables holds the value", len(tables))
}
