package main

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// sessions opens n sessions, 16 on each connection, that ask for values, pages and commits
// for as long as they can, and never read an answer.
func (c *crowd) sessions(n int) {
	const perConn = 16
	json := pb.ValueEncoding_VALUE_ENCODING_JSON
	asks := []func(id int) (string, proto.Message){
		func(int) (string, proto.Message) {
			return "GetState", &pb.GetStateRequest{AgentId: "small", Key: "1", Encoding: json}
		},
		func(int) (string, proto.Message) {
			return "GetState", &pb.GetStateRequest{AgentId: "large", Key: "1", Encoding: json}
		},
		func(int) (string, proto.Message) {
			return "ScanPrefix", &pb.ScanPrefixRequest{AgentId: "large", Encoding: json}
		},
		func(id int) (string, proto.Message) {
			return "Transact", &pb.TransactRequest{TxnId: fmt.Sprint("session-", id), Operations: []*pb.TransactOperation{put("load", fmt.Sprint(id%50), string(sized(2000)))}}
		},
	}
	for i := range n / perConn {
		s := pb.NewStatehouseServiceClient(c.dial())
		for j := range perConn {
			c.all.Go(func() {
				stream, err := s.Session(c.ctx)
				for id := 1; c.note("unread sessions", err) && err == nil; {
					frame := &pb.SessionRequests{}
					for range 10 {
						method, req := asks[j%len(asks)]((i*perConn+j)<<32 + id)
						raw, _ := proto.Marshal(req)
						frame.Requests = append(frame.Requests, &pb.SessionRequest{Id: uint64(id), Method: method, Request: raw})
						id++
					}
					if err = stream.Send(frame); err != nil {
						return // its connection was closed for those who read
					}
				}
			})
		}
	}
}
