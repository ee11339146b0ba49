package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// offlineSays runs a command that needs no daemon, and returns what it prints.
func offlineSays(t *testing.T, code int, args ...string) string {
	t.Helper()
	var out, told bytes.Buffer
	if got := run(context.Background(), args, nil, &out, &told, func(int) {}); got != code {
		t.Errorf("%q ended with %d, not %d: %s%s", args, got, code, out.String(), told.String())
	}
	return out.String() + told.String()
}

// TestClusterAlone: all members of a cluster are killed under load, the directory of the most recent becomes that of one
// machine, which has all that was acknowledged, with the same chain, and is founded anew as a cluster.
func TestClusterAlone(t *testing.T) {
	s := newSeveral(t)
	s.start(0, 1, 2)
	w := s.write(4)
	w.reach(60)
	running := offlineSays(t, exitDataDir, "cluster", "leave", "--newest", s.dirs[0])
	if !strings.Contains(running, "in use") {
		t.Errorf("while its daemon runs: %s", running)
	}
	for i := range s.at {
		s.at[i].Load().kill()
	}
	w.stop()
	w.all.Wait()

	newest, term, entry := -1, 0, 0
	for i, dir := range s.dirs {
		text := offlineSays(t, exitOK, "cluster", "show", dir)
		var of, at int
		if _, after, found := strings.Cut(text, "ends in "); !found || scanned(after, "term %d at entry %d", &of, &at) != nil {
			t.Fatalf("member %d stands at\n%s", i+1, text)
		}
		if of > term || of == term && at > entry {
			newest, term, entry = i, of, at
		}
	}
	dir := s.dirs[newest]
	said := offlineSays(t, exitUsage, "cluster", "leave", dir)
	for _, word := range []string{"2 other members vote", fmt.Sprintf("in term %d at entry %d", term, entry), "--newest"} {
		if !strings.Contains(said, word) {
			t.Errorf("%q is not in: %s", word, said)
		}
	}
	left := offlineSays(t, exitOK, "cluster", "leave", "--newest", dir)
	r := verified(t, dir)
	if !strings.Contains(left, fmt.Sprintf("last commit is %d, chain %s", r.Commits, r.ChainHash)) {
		t.Errorf("it says %s, and has %d, %s", left, r.Commits, r.ChainHash)
	}
	if again := offlineSays(t, exitDataDir, "cluster", "leave", "--newest", dir); !strings.Contains(again, "not the directory of a cluster's member") {
		t.Errorf("a second time it says %s", again)
	}

	d := start(t, dir)
	found := map[string]uint64{}
	for _, ev := range replay(t, d, "default").events {
		found[ev.GetTxnId()] = ev.GetCommitTs()
	}
	for id, ts := range w.acks { // each stands for itself: any order
		if found[id] != ts {
			t.Errorf("G1: %s was acknowledged as commit %d, and is %d", id, ts, found[id])
		}
	}
	_, err := d.Transact(call(t), &pb.TransactRequest{TxnId: "alone", Operations: []*pb.TransactOperation{put("a", "k", `{}`)}})
	must(t, err)
	d.terminate()
	if alone := verified(t, dir); alone.Commits != r.Commits+1 {
		t.Errorf("alone it has %d commits, after %d", alone.Commits, r.Commits)
	}

	back := newSeveral(t)
	back.dirs[0] = dir
	back.start(0, 1, 2)
	if last := back.same(0, 1, 2); last != uint64(r.Commits)+1 {
		t.Errorf("the new cluster has %d commits", last)
	}
	back.stop()
}

func scanned(text, format string, to ...any) error {
	_, err := fmt.Fscanf(strings.NewReader(text), format, to...)
	if err == io.EOF {
		err = nil
	}
	return err
}

// TestClusterShrinks: members are removed one after the other, and the last leaves without being compared with any.
func TestClusterShrinks(t *testing.T) {
	s := newSeveral(t)
	s.start(0, 1, 2)
	leader := s.leader(0, 1, 2)
	for i := range 10 {
		_, err := s.at[leader].Load().Transact(call(t), &pb.TransactRequest{TxnId: fmt.Sprint(i), Operations: []*pb.TransactOperation{put("a", "k", `{}`)}})
		must(t, err)
	}
	for _, i := range without(leader) {
		_, err := s.operators(leader).RemoveMember(call(t), &pb.RemoveMemberRequest{Id: s.ids[i]})
		must(t, err)
		s.at[i].Load().exit()
	}
	s.at[leader].Load().signal(syscall.SIGTERM)
	s.at[leader].Load().exit()
	before := verified(t, s.dirs[leader])
	offlineSays(t, exitOK, "cluster", "leave", s.dirs[leader])
	if after := verified(t, s.dirs[leader]); after.ChainHash != before.ChainHash || after.Commits != 10 {
		t.Errorf("it has %d commits, %s, and had %d, %s", after.Commits, after.ChainHash, before.Commits, before.ChainHash)
	}
	gone := s.dirs[without(leader)[0]]
	if said := offlineSays(t, exitDataDir, "cluster", "leave", "--newest", gone); !strings.Contains(said, "was removed from its cluster") {
		t.Errorf("one that was removed leaves: %s", said)
	}
}
