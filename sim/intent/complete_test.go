package intent

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/client"
)

// unrecorded are the methods that are no operations of a history.
var unrecorded = []string{
	"Namespace", "Close", "In", "Status", "Health", "Version", "StartCapture", "StopCapture", "CaptureStatus", "DumpCapture", "ID", "Snapshot", "Held",
	"Connection", "Bounded",
}

// unworded are the methods for which intents have no words: the judges of what goes over the wire see
// what they ask.
var unworded = []string{
	"AcquireLease", "HoldLease", "Leases", "RenewLeases", "RefreshExpiry", "Fork", "Lineage", "Find", "List", "Diff", "Claim",
	"Refusals", "Streams",
}

// onlyBegins is a connection on which transactions begin, and every other call is refused.
type onlyBegins struct{}

func (onlyBegins) Invoke(_ context.Context, method string, _, resp any, _ ...grpc.CallOption) error {
	if m, begins := resp.(interface{ GetSnapshotTs() uint64 }); begins && strings.HasSuffix(method, "/BeginTransaction") {
		id := reflect.ValueOf(m).Elem().FieldByName("TxnId")
		id.SetString("id")
		return nil
	}
	return status.Error(codes.InvalidArgument, "refused")
}

func (onlyBegins) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.InvalidArgument, "refused")
}

func recorded(t *testing.T) (*Recorder, *Client, *Txn) {
	t.Helper()
	inner, err := client.New(onlyBegins{}, client.Config{})
	if err != nil {
		t.Fatal(err)
	}
	now := int64(0)
	r := NewRecorder(Options{Now: func() int64 { now++; return now }})
	c := r.Client("c1", inner, true)
	txn, err := c.Begin(t.Context(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return r, c, txn
}

// Every exported method of the client and of its transactions is here, with the same
// signature, and each call of one is written down: a new one must be recorded, too.
func TestComplete(t *testing.T) {
	for _, of := range []struct{ real, ours reflect.Type }{
		{reflect.TypeFor[*client.Client](), reflect.TypeFor[*Client]()}, {reflect.TypeFor[*client.Txn](), reflect.TypeFor[*Txn]()},
	} {
		for i := range of.real.NumMethod() {
			m := of.real.Method(i)
			if slices.Contains(unworded, m.Name) {
				continue
			}
			ours, has := of.ours.MethodByName(m.Name)
			if !has {
				t.Errorf("%v has no %s", of.ours, m.Name)
				continue
			}
			if got, want := strings.ReplaceAll(ours.Type.String(), "*intent.", "*client."), m.Type.String(); got != want {
				t.Errorf("%s is %s, and the client's %s", m.Name, got, want)
			}
			r, c, txn := recorded(t)
			before := len(r.History().Operations)
			self := reflect.ValueOf(txn)
			if of.ours == reflect.TypeFor[*Client]() {
				self = reflect.ValueOf(c)
			}
			call(t, self.MethodByName(m.Name))
			if written := len(r.History().Operations) > before; written == slices.Contains(unrecorded, m.Name) {
				t.Errorf("%s: is it written down? %v", m.Name, written)
			}
		}
	}
}

// call calls a method with arguments that mean nothing, and takes what an iterator yields.
func call(t *testing.T, f reflect.Value) {
	var args []reflect.Value
	for i := range f.Type().NumIn() {
		in := f.Type().In(i)
		switch {
		case f.Type().IsVariadic() && i == f.Type().NumIn()-1:
			continue
		case in == reflect.TypeFor[context.Context]():
			args = append(args, reflect.ValueOf(t.Context()))
		case in.Kind() == reflect.Func:
			args = append(args, reflect.ValueOf(func(*Txn) error { return errors.New("its own") }))
		default:
			args = append(args, reflect.Zero(in))
		}
	}
	for _, out := range f.Call(args) {
		if out.Kind() == reflect.Func && out.Type().NumIn() == 0 { // what ends a context
			out.Call(nil)
		} else if out.Kind() == reflect.Func { // an iterator
			yield := reflect.MakeFunc(out.Type().In(0), func([]reflect.Value) []reflect.Value { return []reflect.Value{reflect.ValueOf(true)} })
			out.Call([]reflect.Value{yield})
		}
	}
}
