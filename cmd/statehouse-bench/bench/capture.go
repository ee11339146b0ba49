package bench

import (
	"context"
	"errors"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// capture measures what it costs to record everything: the same load with the
// capture off and on, turn and turn about, since a machine's speed drifts.
func (r *runner) capture(ctx context.Context) error {
	captures := pb.NewCaptureServiceClient(r.o.Conns[0])
	st, err := captures.GetCaptureStatus(ctx, &pb.GetCaptureStatusRequest{})
	if err != nil {
		return err
	}
	if st.GetOn() {
		return errors.New("a capture is on, and would be forgotten: dump and stop it before its cost is measured")
	}
	defer func() { _, _ = captures.StopCapture(context.WithoutCancel(ctx), &pb.StopCaptureRequest{}) }()
	var commits, reads []float64
	for range 2 * max(r.o.Rounds, 1) {
		var off, on [2]float64
		for i, load := range []op{r.commit(), r.get()} {
			if _, err := captures.StopCapture(ctx, &pb.StopCaptureRequest{}); err != nil {
				return err
			}
			m, err := r.measure(ctx, load, manyClients)
			if err != nil {
				return err
			}
			off[i] = m.PerSecond
			if _, err := captures.StartCapture(ctx, &pb.StartCaptureRequest{}); err != nil {
				return err
			}
			if m, err = r.measure(ctx, load, manyClients); err != nil {
				return err
			}
			on[i] = m.PerSecond
		}
		commits, reads = append(commits, on[0]/off[0]), append(reads, on[1]/off[1])
	}
	if st, err = captures.GetCaptureStatus(ctx, &pb.GetCaptureStatusRequest{}); err != nil {
		return err
	}
	r.say("\ncapture: %d operations recorded, %d of them lost", st.GetOperations(), st.GetLost())
	r.ratio("one-shot durable commits, capture on / off, 64 clients", median(commits), 0.95, false)
	r.ratio("point reads, capture on / off, 64 clients", median(reads), 0.95, false)
	return nil
}
