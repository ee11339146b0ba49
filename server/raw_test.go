package server

import (
	"context"
	"errors"
	"io"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Requests as bytes: what no stub would send.

const transactMethod = "Transact"

// allMethods names every method of the service, streams last.
func allMethods() []string {
	var names []string
	for _, m := range pb.StatehouseService_ServiceDesc.Methods {
		names = append(names, m.MethodName)
	}
	for _, s := range pb.StatehouseService_ServiceDesc.Streams {
		names = append(names, s.StreamName)
	}
	return names
}

func isStream(method string) bool {
	return slices.ContainsFunc(pb.StatehouseService_ServiceDesc.Streams, func(s grpc.StreamDesc) bool { return s.StreamName == method })
}

func fullMethod(method string) string {
	return "/" + pb.StatehouseService_ServiceDesc.ServiceName + "/" + method
}

// bytesCodec is a client's codec whose messages are their own wire form.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "proto" }

func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// raw sends wire as the request of method and returns how the call ended. Of a
// stream the first 100 messages are read.
func (r *rig) raw(method string, wire []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var answer []byte
	if !isStream(method) {
		return r.conn.Invoke(ctx, fullMethod(method), &wire, &answer, grpc.ForceCodecV2(bytesCodec{}))
	}
	stream, err := r.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, fullMethod(method), grpc.ForceCodecV2(bytesCodec{}))
	if err != nil {
		return err
	}
	if err := errors.Join(stream.SendMsg(&wire), stream.CloseSend()); err != nil {
		return err
	}
	for range 100 {
		if err := stream.RecvMsg(&answer); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// rawFirst is raw for a stream that goes on: it ends with the first message.
func (r *rig) rawFirst(method string, wire []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream, err := r.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, fullMethod(method), grpc.ForceCodecV2(bytesCodec{}))
	if err != nil {
		return err
	}
	if err := errors.Join(stream.SendMsg(&wire), stream.CloseSend()); err != nil {
		return err
	}
	var answer []byte
	return stream.RecvMsg(&answer)
}
