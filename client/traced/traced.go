// Package traced tells a program of the calls that its client makes, for traces. It knows no tracing
// system: what a program uses for that, it brings along.
package traced

import (
	"context"
	"strings"

	"google.golang.org/grpc"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Func is told of each call that a client makes, tries again included. The context that it returns is the call's: a traceparent in its outgoing metadata
// makes the daemon's span a child, and its trace id is stored with a commit. end is called when
// the call has ended, of a stream when it is open. A call with metadata is one of its own, and not one in
// the session, so add some to those that are sampled only. With OpenTelemetry:
//
//	config.Trace = func(ctx context.Context, call traced.Call) (context.Context, func(error)) {
//		ctx, span := tracer.Start(ctx, call.Method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
//			attribute.String("gen_ai.operation.name", call.Operation), attribute.String("gen_ai.memory.store.id", call.Namespace)))
//		if span.SpanContext().IsSampled() {
//			headers := propagation.MapCarrier{}
//			propagation.TraceContext{}.Inject(ctx, headers)
//			for name, value := range headers {
//				ctx = metadata.AppendToOutgoingContext(ctx, name, value)
//			}
//		}
//		return ctx, func(err error) { span.RecordError(err); span.End() }
//	}
type Func func(ctx context.Context, call Call) (of context.Context, end func(error))

// Call is what a trace may say of a call: neither keys nor values.
type Call struct {
	Method string // "Transact"
	// Operation is what OpenTelemetry's conventions for generative AI call it: search_memory,
	// upsert_memory, delete_memory, or empty for what they have no word for.
	Operation string
	Namespace string // of the first record that it is about; empty: of none
	Agent     string
}

var memoryOperations = map[string]string{
	"GetState": "search_memory", "GetStateAtVersion": "search_memory", "BatchGetState": "search_memory", "ScanPrefix": "search_memory",
	"Write": "upsert_memory", "Transact": "upsert_memory", "Delete": "delete_memory",
}

// named is what requests about a record, or an agent, have in common.
type named interface {
	GetNamespace() string
	GetAgentId() string
}

func callOf(method string, request any) Call {
	call := Call{Method: method[strings.LastIndexByte(method, '/')+1:]}
	call.Operation = memoryOperations[call.Method]
	about, _ := request.(named)
	if t, is := request.(*pb.TransactRequest); is {
		deletes := len(t.GetOperations()) > 0
		for _, op := range t.GetOperations() {
			deletes = deletes && op.GetDelete()
		}
		if deletes {
			call.Operation = "delete_memory"
		}
		if len(t.GetOperations()) > 0 {
			about = t.GetOperations()[0]
		}
	}
	if about != nil {
		call.Namespace, call.Agent = about.GetNamespace(), about.GetAgentId()
	}
	return call
}

// conn is a connection whose calls are told of.
type conn struct {
	grpc.ClientConnInterface
	trace Func
}

// Conn is c, told of if there is somebody to tell.
func Conn(c grpc.ClientConnInterface, trace Func) grpc.ClientConnInterface {
	if trace == nil {
		return c
	}
	return conn{c, trace}
}

func (t conn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	ctx, end := t.trace(ctx, callOf(method, args))
	err := t.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
	end(err)
	return err
}

func (t conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx, end := t.trace(ctx, callOf(method, nil))
	stream, err := t.ClientConnInterface.NewStream(ctx, desc, method, opts...)
	end(err)
	return stream, err
}
