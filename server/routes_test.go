package server

import (
	"maps"
	"slices"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// aboutItself are the methods that any member answers of itself: they tell how a daemon is, or change what is its own.
var aboutItself = []string{
	"/statehouse.v1.AdminService/Compact", "/statehouse.v1.AdminService/GetCluster", "/statehouse.v1.AdminService/GetDiagnostics", "/statehouse.v1.AdminService/GetDiskUsage",
	"/statehouse.v1.AdminService/SetLogLevel",
	"/statehouse.v1.CaptureService/DumpCapture", "/statehouse.v1.CaptureService/GetCaptureStatus",
	"/statehouse.v1.CaptureService/StartCapture", "/statehouse.v1.CaptureService/StopCapture",
	"/statehouse.v1.StatehouseService/GetStatus", "/statehouse.v1.StatehouseService/Health", "/statehouse.v1.StatehouseService/ListRefusals",
	"/statehouse.v1.StatehouseService/ListStreams",
	"/statehouse.v1.StatehouseService/Session", // each of its requests has a route
	"/statehouse.v1.StatehouseService/Version",
}

// TestRoutes: every method has a route or is known to need none.
func TestRoutes(t *testing.T) {
	var without []string
	all := make(map[string]bool)
	for _, file := range []protoreflect.FileDescriptor{pb.File_statehouse_v1_statehouse_proto, pb.File_statehouse_v1_admin_proto, pb.File_statehouse_v1_capture_proto} {
		for i := range file.Services().Len() {
			for j := range file.Services().Get(i).Methods().Len() {
				m := file.Services().Get(i).Methods().Get(j)
				full := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
				if all[full] = true; routes[full] == ofItself {
					without = append(without, full)
				}
				if r := routes[full]; r != ofItself && m.IsStreamingClient() {
					t.Errorf("%s has the route %d, and its request is a stream", full, r)
				}
			}
		}
	}
	slices.Sort(without)
	if !slices.Equal(without, aboutItself) {
		t.Errorf("without a route are %q, and should be %q", without, aboutItself)
	}
	for _, m := range slices.Sorted(maps.Keys(routes)) {
		if !all[m] {
			t.Errorf("%s has a route, and there is no such method", m)
		}
	}
	for m := range commits { // any order
		if routes[m] != leads {
			t.Errorf("%s commits, and has the route %d", m, routes[m])
		}
	}
}

// TestInTransaction: what is asked of an open transaction is asked of the member that has it.
func TestInTransaction(t *testing.T) {
	const method = pb.StatehouseService_GetState_FullMethodName
	if r := routeOf(method, &pb.GetStateRequest{TxnId: "t"}); r != leads {
		t.Errorf("a read in a transaction has the route %d", r)
	}
	if r := routeOf(method, &pb.GetStateRequest{}); r != reads {
		t.Errorf("a read has the route %d", r)
	}
}
