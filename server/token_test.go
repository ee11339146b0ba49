package server

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"testing"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/page"
)

// A token is bound to its request: with another it would show another list.
func TestPageTokenIsBoundToItsRequest(t *testing.T) {
	r := newRig(t)
	for _, agent := range []string{"a", "b"} {
		for _, key := range []string{"p1", "p2", "p3", "q1", "q2"} {
			r.put("", agent, key, `{}`)
			r.put("", agent, key, `{"v":2}`)
			r.put("ns", agent, key, `{}`)
		}
	}
	list := func(change func(*pb.ListKeysRequest)) (*pb.ListKeysResponse, error) {
		req := &pb.ListKeysRequest{AgentId: "a", Prefix: "p", Limit: 1}
		change(req)
		return r.ListKeys(timeout(t), req)
	}
	first, err := list(func(*pb.ListKeysRequest) {})
	if err != nil || first.NextPageToken == "" {
		t.Fatal(err, first)
	}
	token := first.NextPageToken
	for what, change := range map[string]func(*pb.ListKeysRequest){ // independent of each other: any order
		"namespace": func(q *pb.ListKeysRequest) { q.Namespace = "ns" },
		"agent":     func(q *pb.ListKeysRequest) { q.AgentId = "b" },
		"prefix":    func(q *pb.ListKeysRequest) { q.Prefix = "" },
		"direction": func(q *pb.ListKeysRequest) { q.Reverse = true },
		"txn":       func(q *pb.ListKeysRequest) { q.TxnId = r.begin() },
	} {
		_, err := list(func(q *pb.ListKeysRequest) { q.PageToken = token; change(q) })
		invalidArgument(t, "another "+what, err, "page_token")
	}
	second, err := list(func(q *pb.ListKeysRequest) { q.PageToken, q.Limit = token, 9 })
	if err != nil || !slices.Equal(second.Keys, []string{"p2", "p3"}) || second.NextPageToken != "" {
		t.Errorf("its own request, with another limit: %v %v", second, err)
	}

	history, err := r.GetHistory(timeout(t), &pb.GetHistoryRequest{AgentId: "a", Key: "p1", Limit: 1})
	if err != nil || history.NextPageToken == "" {
		t.Fatal(err)
	}
	agents, err := r.ListAgents(timeout(t), &pb.ListAgentsRequest{Limit: 1})
	if err != nil || agents.NextPageToken == "" {
		t.Fatal(err)
	}
	namespaces, err := r.ListNamespaces(timeout(t), &pb.ListNamespacesRequest{Limit: 1})
	if err != nil || namespaces.NextPageToken == "" {
		t.Fatal(err)
	}
	tokens := []string{token, history.NextPageToken, agents.NextPageToken, namespaces.NextPageToken}
	for i, s := range tokens {
		if i != 0 {
			_, err := list(func(q *pb.ListKeysRequest) { q.PageToken = s })
			invalidArgument(t, "a token of another method, keys", err)
		}
		if i != 1 {
			_, err := r.GetHistory(timeout(t), &pb.GetHistoryRequest{AgentId: "a", Key: "p1", PageToken: s})
			invalidArgument(t, "a token of another method, history", err)
		}
		if i != 2 {
			_, err := r.ListAgents(timeout(t), &pb.ListAgentsRequest{PageToken: s})
			invalidArgument(t, "a token of another method, agents", err)
		}
		if i != 3 {
			_, err := r.ListNamespaces(timeout(t), &pb.ListNamespacesRequest{PageToken: s})
			invalidArgument(t, "a token of another method, namespaces", err)
		}
	}
	_, err = r.GetHistory(timeout(t), &pb.GetHistoryRequest{AgentId: "a", Key: "p2", PageToken: history.NextPageToken})
	invalidArgument(t, "the history of another key", err)
	_, err = r.GetHistory(timeout(t), &pb.GetHistoryRequest{AgentId: "a", Key: "p1", PageToken: history.NextPageToken, OldestFirst: true})
	invalidArgument(t, "the history in the other direction", err)
}

// The checksum binds a token and is no secret: forged ones must do no harm.
func TestForgedPageTokens(t *testing.T) {
	r := newRig(t)
	for _, key := range []string{"a", "b", "c", "\U0010FFFF"} {
		r.put("", "a", key, `{}`)
	}
	r.put("", "a\U0010FFFF", "neighbour", `{}`)
	scope := func(reverse string) []string { return []string{"", "a", "", reverse, ""} }
	for _, last := range []string{"", "\x00", "\xff", "b\x00", "\x00\xff\xff", strings.Repeat("z", 5000), "b\x00\xff\xff\xff\xff\xff\xff\xff\xff"} {
		for _, reverse := range []string{"true", "false"} {
			for _, ts := range []engine.CommitTS{0, 1, 4, 5} {
				s := page.Token{TS: ts, Last: last}.Encode(scope(reverse)...)
				resp, err := r.ListKeys(timeout(t), &pb.ListKeysRequest{AgentId: "a", PageToken: s, Reverse: reverse == "true"})
				if err != nil || strings.Contains(last, "\x00") {
					invalidArgument(t, "forged", err)
				} else if slices.Contains(resp.Keys, "neighbour") || resp.ReadTs != uint64(ts) {
					t.Errorf("after %q at %d: %v at %d", last, ts, resp.Keys, resp.ReadTs)
				}
			}
			for _, ts := range []engine.CommitTS{6, math.MaxUint64} {
				_, err := r.ListKeys(timeout(t), &pb.ListKeysRequest{AgentId: "a", PageToken: page.Token{TS: ts, Last: last}.Encode(scope(reverse)...), Reverse: reverse == "true"})
				invalidArgument(t, "a token from the future", err)
			}
		}
	}
	for _, last := range []string{"0", "-1", "18446744073709551615", "18446744073709551616", "1e3", "x", "\x00", "2 3"} {
		for _, oldest := range []string{"true", "false"} {
			s := page.Token{TS: 3, Last: last}.Encode("history", "", "a", "a", oldest)
			resp, err := r.GetHistory(timeout(t), &pb.GetHistoryRequest{AgentId: "a", Key: "a", PageToken: s, OldestFirst: oldest == "true"})
			if err != nil {
				invalidArgument(t, "a forged version "+last, err)
			} else if len(resp.Entries) > 1 {
				t.Errorf("after version %q: %v", last, resp.Entries)
			}
		}
	}
	// The timestamp cut in the middle, with the checksum of what is left.
	b := binary.LittleEndian.AppendUint32([]byte{1}, crc32.ChecksumIEEE([]byte("namespaces\x00")))
	for _, tail := range [][]byte{nil, {0x80}, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}} {
		s := base64.RawURLEncoding.EncodeToString(append(slices.Clone(b), tail...))
		_, err := r.ListNamespaces(timeout(t), &pb.ListNamespacesRequest{PageToken: s})
		invalidArgument(t, "a cut token", err)
	}
}
