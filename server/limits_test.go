package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

func exhausted(t *testing.T, what string, err error, says ...string) {
	t.Helper()
	refused(t, what, err, codes.ResourceExhausted, pb.ErrorCode_LIMIT_EXCEEDED, says...)
}

func TestTransactionLimits(t *testing.T) {
	r := newRig(t, func(c *Config, _ *engine.Env) {
		c.Engine.Limits = engine.Limits{TxnOps: 5, TxnBytes: 1000, TxnReads: 3, OpenTxns: 4, StagedBytes: 3700, MetadataBytes: 20}
	})
	ops := func(n int) []*pb.TransactOperation {
		var ops []*pb.TransactOperation
		for i := range n {
			ops = append(ops, set("", "a", fmt.Sprint(i), `{}`))
		}
		return ops
	}
	transact := func(req *pb.TransactRequest) error {
		req.TxnId = r.id()
		_, err := r.Transact(timeout(t), req)
		return err
	}
	if err := transact(&pb.TransactRequest{Operations: ops(5)}); err != nil {
		t.Errorf("5 operations: %v", err)
	}
	exhausted(t, "operations", transact(&pb.TransactRequest{Operations: ops(6)}), "6", "5", "operations")
	exhausted(t, "preconditions", transact(&pb.TransactRequest{Operations: ops(1), KeyPreconditions: make([]*pb.KeyPrecondition, 6)}), "6", "5", "preconditions")
	exhausted(t, "bytes", transact(&pb.TransactRequest{Operations: []*pb.TransactOperation{set("", "a", "k", string(textOf(500))), set("", "a", "l", string(textOf(500)))}}), "bytes", "1000")
	invalidArgument(t, "metadata", transact(&pb.TransactRequest{Operations: ops(1), Metadata: map[string]string{"k": strings.Repeat("x", 20)}}), "21", "20")

	one := r.begin()
	for i := range 5 {
		if err := r.write(one, "a", fmt.Sprint(i), `{}`); err != nil {
			t.Fatal(err)
		}
	}
	exhausted(t, "operations, interactive", r.write(one, "a", "6", `{}`), "6", "5", "operations")
	if err := r.write(one, "a", "1", string(textOf(800))); err != nil {
		t.Errorf("one key again: %v", err)
	}
	exhausted(t, "bytes, interactive", r.write(one, "a", "2", string(textOf(200))), "bytes", "1000")
	for i := range 3 {
		if err := r.reads(fmt.Sprint("r", i))(one); err != nil {
			t.Fatal(err)
		}
	}
	exhausted(t, "reads", r.reads("r4")(one), "reads", "4", "3")

	two := r.begin()
	if err := r.write(two, "a", "k", string(textOf(900))); err != nil {
		t.Fatal(err)
	}
	third := r.begin()
	exhausted(t, "staged bytes", r.write(third, "a", "k", string(textOf(300))), "staged", "3700")
	r.begin()
	_, err := r.BeginTransaction(timeout(t), &pb.BeginTransactionRequest{})
	exhausted(t, "open transactions", err, "4", "open")

	// A refusal ends nothing: what was staged still commits, and room is back.
	if got, err := r.commit(one); err != nil || len(got.Versions) != 5 {
		t.Errorf("after all those refusals: %v %v", got, err)
	}
	if err := r.abort(two); err != nil {
		t.Fatal(err)
	}
	if err := r.write(third, "a", "k", string(textOf(300))); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
	r.advance(31 * time.Second)
	for range 4 {
		r.begin()
	}
	r.advance(31 * time.Second)
}

// Whatever a client may write it can read, scan, replay and watch in the encoding
// that it wrote in: an answer that does not fit a message would stop it for good.
func TestWhatWasWrittenCanBeReadBack(t *testing.T) {
	sequential(t)
	r := newRig(t)
	// Structs that are small as JSON: a number is 2 bytes there and 11 in a Struct.
	ones := make([]any, 95_000)
	for i := range ones {
		ones[i] = 1
	}
	dense := structOf(t, map[string]any{"n": ones})
	if n := proto.Size(dense); n > 1<<20 || n < 1<<20-1<<17 {
		t.Fatalf("%d bytes", n)
	}
	id, staged := r.begin(), 0
	for ; staged < 20; staged++ {
		if _, err := r.Write(timeout(t), &pb.WriteRequest{TxnId: id, AgentId: "dense", Key: fmt.Sprint(staged), Value: dense}); err != nil {
			exhausted(t, "a transaction too large to replay", err)
			break
		}
	}
	if _, err := r.commit(id); err != nil {
		t.Fatal(err)
	}
	events := r.both(&pb.ReplayRequest{AgentId: "dense"})
	if len(events) != 1 || len(events[0].Operations) != staged {
		t.Errorf("%d writes came back as %d events", staged, len(events))
	}
}

// The largest transaction that the limits allow can be replayed, and its event is
// no larger than LargestEvent says, by which a daemon's configuration is judged.
func TestLargestEvent(t *testing.T) {
	sequential(t)
	r := newRig(t)
	l := r.service.engine.Limits()
	req := &pb.TransactRequest{TxnId: strings.Repeat("x", 128), Metadata: map[string]string{}}
	for i := 0; 2*len(req.Metadata) < l.MetadataBytes; i++ { // as many entries as fit
		req.Metadata[string(rune('!'+i%90))+string(rune('!'+i/90))] = ""
	}
	ns, agent, rest := strings.Repeat("n", 128), strings.Repeat("a", 256), strings.Repeat("k", 252)
	each := l.TxnBytes/l.TxnOps - len(ns) - len(agent) - 4 - len(rest)
	for i := range l.TxnOps {
		req.Operations = append(req.Operations, set(ns, agent, fmt.Sprintf("%04d", i)+rest, string(textOf(each))))
	}
	if _, err := r.Transact(timeout(t), req); err != nil {
		t.Fatal(err)
	}
	events := r.both(&pb.ReplayRequest{Namespace: ns, AgentId: agent, Encoding: asJSON})
	if n := proto.Size(events[0]); n > LargestEvent(l) || LargestEvent(l) > MaxAnswerBytes || n < LargestEvent(l)*9/10 {
		t.Errorf("the event is %d bytes, LargestEvent says %d, clients accept %d", n, LargestEvent(l), MaxAnswerBytes)
	}
}

// Pages fit: with a limit set, a list is never refused for its size. Without one,
// a client that knows nothing of pages gets all or a clear no, never a part.
func TestPagesFit(t *testing.T) {
	sequential(t)
	r := newRig(t)
	// Three records that just do not fill a page, and a fourth that is large.
	for i, size := range []int{1<<20 - 100, 1<<20 - 100, 1<<20 - 100, 1 << 20, 8, 1 << 20} {
		r.put("", "large", fmt.Sprint(i), string(textOf(size)))
	}
	meta := map[string]string{"m": strings.Repeat("x", 16<<10-1)}
	const versions = 270 // small ones whose provenance makes 4 MiB
	for range versions {
		if _, err := r.Transact(timeout(t), &pb.TransactRequest{TxnId: r.id(), Operations: []*pb.TransactOperation{set("", "small", "k", `{}`)}, Metadata: meta}); err != nil {
			t.Fatal(err)
		}
	}
	const keys = 3300 // names that are as long as they can be
	var ops []*pb.TransactOperation
	for i := range keys {
		ops = append(ops, set("", "names", fmt.Sprintf("%05d", i)+strings.Repeat("k", 1019), `{}`))
		if len(ops) == 825 {
			r.transact(ops...)
			ops = nil
		}
	}
	pages := func(what string, want int, next func(token string) (int, string, error)) {
		t.Helper()
		seen, token := 0, ""
		for more := true; more; more = token != "" {
			var n int
			var err error
			if n, token, err = next(token); err != nil {
				t.Errorf("%s after %d: %v", what, seen, err)
			}
			seen += n
		}
		if seen != want {
			t.Errorf("%s: %d, want %d", what, seen, want)
		}
	}
	for _, reverse := range []bool{false, true} {
		pages("scan", 6, func(token string) (int, string, error) {
			page, err := r.ScanPrefix(timeout(t), &pb.ScanPrefixRequest{AgentId: "large", Limit: 100, PageToken: token, Reverse: reverse, Encoding: asJSON})
			return len(page.GetEntries()), page.GetNextPageToken(), err
		})
		pages("history", versions, func(token string) (int, string, error) {
			page, err := r.GetHistory(timeout(t), &pb.GetHistoryRequest{AgentId: "small", Key: "k", Limit: versions, PageToken: token, OldestFirst: reverse, Encoding: asJSON})
			return len(page.GetEntries()), page.GetNextPageToken(), err
		})
	}
	pages("list", keys, func(token string) (int, string, error) {
		page, err := r.ListKeys(timeout(t), &pb.ListKeysRequest{AgentId: "names", Limit: 1 << 31, PageToken: token})
		return len(page.GetKeys()), page.GetNextPageToken(), err
	})
	for what, err := range map[string]error{ // independent of each other: any order
		"list":               second(r.ListKeys(timeout(t), &pb.ListKeysRequest{AgentId: "names"})),
		"scan without value": second(r.ScanPrefix(timeout(t), &pb.ScanPrefixRequest{AgentId: "names", Encoding: noValues})),
		"scan":               second(r.ScanPrefix(timeout(t), &pb.ScanPrefixRequest{AgentId: "large", Encoding: asJSON})),
	} {
		exhausted(t, what+" without limit", err, "limit", "next_page_token")
	}
	list, err := r.ListKeys(timeout(t), &pb.ListKeysRequest{AgentId: "names", Prefix: "000"})
	if err != nil || len(list.Keys) != 100 {
		t.Errorf("a part that fits: %d, %v", len(list.GetKeys()), err)
	}
}

func second[T any](_ T, err error) error { return err }

// Batches of a size just about what fits are answered or refused with the detail,
// never by the transport, and no event is dropped for its size.
func TestAnswersNearTheLimit(t *testing.T) {
	sequential(t)
	r := newRig(t)
	// Four values whose sizes sum to about what fits, byte by byte around it.
	names := []*pb.RecordName{{AgentId: "a", Key: "0"}, {AgentId: "a", Key: "1"}, {AgentId: "a", Key: "2"}, {AgentId: "a", Key: "3"}}
	for i := range 3 {
		r.put("", "a", names[i].Key, string(textOf(1<<20-200)))
	}
	fitted := 0
	for size := 1<<20 - 580; size < 1<<20-340; size += 20 {
		r.put("", "a", "3", string(textOf(size)))
		got, err := r.BatchGetState(timeout(t), &pb.BatchGetStateRequest{Names: names, Encoding: asJSON})
		if err != nil {
			exhausted(t, fmt.Sprintf("batch, the last of %d", size), err)
		} else if fitted++; len(got.States) != 4 {
			t.Errorf("%d states", len(got.States))
		}
	}
	if fitted == 0 || fitted > 12 {
		t.Errorf("%d sizes fitted: this is not about the limit", fitted)
	}

	// Many small ones, which fit but for what stands around each.
	r.put("", "a", "4", `{}`)
	many := make([]*pb.RecordName, 1000)
	for i := range many {
		many[i] = &pb.RecordName{AgentId: "a", Key: "4"}
	}
	empty, err := r.GetState(timeout(t), &pb.GetStateRequest{AgentId: "a", Key: "4", Encoding: asJSON})
	if err != nil {
		t.Fatal(err)
	}
	r.put("", "a", "4", string(textOf(MaxAnswerBytes/len(many)-proto.Size(empty))))
	_, err = r.BatchGetState(timeout(t), &pb.BatchGetStateRequest{Names: many, Encoding: asJSON})
	exhausted(t, "a batch of a thousand", err, "the answer is")
}
