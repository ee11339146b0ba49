package sim

import (
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/sim/step"
)

// forgeReply answers a call in the daemon's name, without the daemon: a get with what
// an earlier get of the same was answered (a stale replica), a replay with what an
// earlier replay of the same agent showed, whatever part of the log that was (one
// with holes), a transact with an acknowledgement (one that lost its write). Canaries
// are made of it: scenarios that must fail, or the judge is asleep.
func (w *World) forgeReply(c *Call) error {
	if c.arrived {
		return misfit("the request has arrived already")
	}
	if !c.request.recorded() || c.request.method != step.MethodOf(c.op.Kind) {
		return misfit("no reply to that is forged")
	}
	if c.op.Kind == history.Replay {
		return w.forgeReplay(c)
	}
	var answer proto.Message
	switch c.op.Kind {
	case history.Transact:
		published := uint64(0)
		if w.process != nil {
			published = uint64(w.process.service.Engine().Published())
		}
		ack := &pb.TransactResponse{CommitTs: published + 1}
		for range c.op.In.Writes {
			ack.Versions = append(ack.Versions, 1)
		}
		answer = ack
	case history.Get:
		for i := len(w.network.order) - 1; i >= 0 && answer == nil; i-- {
			if old := w.network.order[i]; old.op.Kind == history.Get && old.done && old.told == nil && old.op.In.Key == c.op.In.Key && old.op.In.Agent == c.op.In.Agent {
				m := record.NewResponse(history.Get)
				if err := proto.Unmarshal(old.given, m); err == nil {
					answer = m
				}
			}
		}
	}
	if answer == nil {
		return misfit("only a transact can be forged, and a get or replay that was answered before")
	}
	raw, err := marshal(answer)
	if err != nil {
		return misfit("%v", err)
	}
	c.arrived = true
	w.rec.note("network", "forged", c.op.Client)
	w.finish(c, raw, nil)
	return nil
}

func (w *World) forgeReplay(c *Call) error {
	for i := len(w.network.order) - 1; i >= 0; i-- {
		old := w.network.order[i]
		same := old.op.In.Namespace == c.op.In.Namespace && old.op.In.Agent == c.op.In.Agent && old.op.In.AllAgents == c.op.In.AllAgents
		if old.op.Kind != history.Replay || !old.done || old.told != nil || !same {
			continue
		}
		c.arrived = true
		w.rec.note("network", "forged", c.op.Client)
		for _, raw := range old.received {
			w.receive(c, raw)
		}
		w.finish(c, nil, nil)
		return nil
	}
	return misfit("no replay of the same was answered before")
}
