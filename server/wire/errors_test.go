package wire

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// sentinels reads the names of engine's errors, by the group they are declared
// in, from its source: a list here would be out of date without anybody noticing.
func sentinels(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../engine/words/errors.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	groups := map[token.Pos]string{}
	for _, c := range file.Comments {
		if text := strings.TrimSpace(c.Text()); strings.HasPrefix(text, "From Open.") {
			groups[c.Pos()] = "open"
		}
	}
	names := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, name := range spec.Names {
			if !strings.HasPrefix(name.Name, "Err") {
				continue
			}
			group := "request"
			for from, g := range groups {
				if name.Pos() > from {
					group = g
				}
			}
			names[name.Name] = group
		}
		return true
	})
	return names
}

// byName gives the values of the names: Go has no other way from a name to one.
// TestMappingIsExhaustive holds it to be complete.
var byName = map[string]error{
	"ErrInvalid": engine.ErrInvalid, "ErrLimit": engine.ErrLimit, "ErrStopped": engine.ErrStopped,
	"ErrDiskFull": engine.ErrDiskFull, "ErrTxnNotFound": engine.ErrTxnNotFound, "ErrTxnExpired": engine.ErrTxnExpired,
	"ErrTxnCommitted": engine.ErrTxnCommitted, "ErrTxnAborted": engine.ErrTxnAborted, "ErrTxnIDReused": engine.ErrTxnIDReused,
	"ErrTxnTooOld": engine.ErrTxnTooOld, "ErrConflict": engine.ErrConflict, "ErrPrecondition": engine.ErrPrecondition,
	"ErrLeaseHeld": engine.ErrLeaseHeld, "ErrLeaseLost": engine.ErrLeaseLost, "ErrEvaluation": engine.ErrEvaluation,
	"ErrVersionNotFound": engine.ErrVersionNotFound, "ErrDataLoss": engine.ErrDataLoss, "ErrStorage": engine.ErrStorage,
	"ErrOutcomeUnknown": engine.ErrOutcomeUnknown, "ErrOutOfRange": engine.ErrOutOfRange, "ErrErased": engine.ErrErased, "ErrEpoch": engine.ErrEpoch, "ErrOverloaded": engine.ErrOverloaded,
	"ErrNotLeader": engine.ErrNotLeader,
}

func TestMappingIsExhaustive(t *testing.T) {
	mapped := map[error]bool{}
	for _, m := range mapping {
		mapped[m.err] = true
	}
	found := 0
	for name, group := range sentinels(t) {
		if group == "open" {
			continue // only Open and Verify return them; a request cannot meet them
		}
		found++
		err, known := byName[name]
		if !known {
			t.Errorf("engine.%s is new: add it to the mapping, and here", name)
			continue
		}
		if !mapped[err] {
			t.Errorf("engine.%s has no row in the mapping", name)
		}
	}
	if found != len(byName) {
		t.Errorf("%d errors were found in the source, %d are known here", found, len(byName))
	}
	seen := map[pb.ErrorCode]bool{}
	for _, m := range mapping {
		if seen[m.code] {
			t.Errorf("%v is mapped to twice: a client could not tell which it was", m.code)
		}
		seen[m.code] = true
	}
	for n, name := range pb.ErrorCode_name {
		// Of the base contract, and answered by nothing: a missing key is no error,
		// an unknown error is INTERNAL_ERROR, and that is what is not in the table.
		exempt := []pb.ErrorCode{pb.ErrorCode_UNKNOWN, pb.ErrorCode_KEY_NOT_FOUND, pb.ErrorCode_INTERNAL_ERROR}
		if code := pb.ErrorCode(n); !seen[code] && !slices.Contains(exempt, code) {
			t.Errorf("the contract has %s, which no error becomes", name)
		}
	}
}

// wireTable is the base contract's, from docs/CONTRACT.md.
var wireTable = map[pb.ErrorCode]codes.Code{
	pb.ErrorCode_INVALID_REQUEST: codes.InvalidArgument, pb.ErrorCode_TXN_NOT_FOUND: codes.NotFound,
	pb.ErrorCode_TXN_EXPIRED: codes.DeadlineExceeded, pb.ErrorCode_TXN_ALREADY_COMMITTED: codes.FailedPrecondition,
	pb.ErrorCode_VERSION_NOT_FOUND: codes.NotFound, pb.ErrorCode_STORAGE_ERROR: codes.Internal,
	pb.ErrorCode_INTERNAL_ERROR: codes.Internal,
}

func TestEveryErrorCarriesItsDetail(t *testing.T) {
	for _, m := range mapping {
		if want, fixed := wireTable[m.code]; fixed && want != m.status {
			t.Errorf("%v is %v, the contract says %v", m.code, m.status, want)
		}
		for what, err := range map[string]error{ // independent of each other: any order
			"bare":    m.err,
			"failure": &engine.Failure{Kind: m.err, Message: "why", Details: map[string]string{"key": "k"}},
			"wrapped": fmt.Errorf("commit 7: %w", &engine.Failure{Kind: m.err, Message: "why", Details: map[string]string{"key": "k"}}),
			"joined":  errors.Join(errors.New("beside it"), &engine.Failure{Kind: m.err, Message: "why", Details: map[string]string{"key": "k"}}),
		} {
			s := Status(err)
			d := detailOf(s)
			if status.Code(s) != m.status || exactCode(d) != m.code || d.GetMessage() == "" || d.GetMaybeApplied() != (m.err == engine.ErrOutcomeUnknown) {
				t.Errorf("%s %v became %v with %v", what, m.err, s, d)
			}
			if what != "bare" && d.GetDetails()["key"] != "k" {
				t.Errorf("%s %v: the details are lost: %v", what, m.err, d)
			}
		}
	}
	if s := Status(errors.New("boom")); status.Code(s) != codes.Internal || detailOf(s).GetCode() != pb.ErrorCode_INTERNAL_ERROR || detailOf(s).GetMessage() != "boom" {
		t.Errorf("an error of no kind became %v", s)
	}
	if Status(nil) != nil {
		t.Error("no error became one")
	}
}

func TestErrorsOfTheTransportStayWhatTheyAre(t *testing.T) {
	for _, c := range []struct {
		err  error
		code codes.Code
	}{
		{context.Canceled, codes.Canceled},
		{fmt.Errorf("reading: %w", context.DeadlineExceeded), codes.DeadlineExceeded},
		{status.Error(codes.Unavailable, "the stream broke"), codes.Unavailable},
	} {
		got := Status(c.err)
		if status.Code(got) != c.code {
			t.Errorf("%v became %v, want %v", c.err, got, c.code)
		}
		// Without a detail a client takes a commit's outcome for unknown, which is right.
		if d := detailOf(got); d != nil {
			t.Errorf("%v carries %v", c.err, d)
		}
	}
}

// TestOlderClientsTryAgain: to a client that does not know a later code, code is one that it knows.
func TestOlderClientsTryAgain(t *testing.T) {
	d := detailOf(Status(engine.ErrNotLeader))
	if d.GetCode() != pb.ErrorCode_UNAVAILABLE || d.GetExactCode() != pb.ErrorCode_NOT_LEADER {
		t.Errorf("who does not lead answers %v", d)
	}
}

func exactCode(d *pb.StatehouseError) pb.ErrorCode {
	if exact := d.GetExactCode(); exact != pb.ErrorCode_UNKNOWN {
		return exact
	}
	return d.GetCode()
}

func detailOf(err error) *pb.StatehouseError {
	for _, d := range status.Convert(err).Details() {
		if d, ok := d.(*pb.StatehouseError); ok {
			return d
		}
	}
	return nil
}
