package client

import (
	"context"
	"io"

	"statehouse.dev/statehouse/client/state"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Capture is the state of a daemon's recording of requests and answers.
type Capture struct {
	On              bool
	Directory       string // on the daemon's machine
	Bytes, MaxBytes uint64 // of the ring
	Operations      uint64 // recorded since the daemon started
	Lost            uint64 // of them, those that the disk could not keep up with
	Wrapped         bool   // the oldest part was dropped
	Error           string // why nothing is recorded although it is on
}

func captureOf(m *pb.CaptureStatus) Capture {
	return Capture{m.GetOn(), m.GetDirectory(), m.GetBytes(), m.GetMaxBytes(), m.GetOperations(), m.GetLost(), m.GetWrapped(), m.GetError()}
}

// StartCapture begins a capture, which discards the one before. If one is on it
// continues.
func (c *Client) StartCapture(ctx context.Context) (Capture, error) {
	m, err := ask(ctx, c, c.captures.StartCapture, &pb.StartCaptureRequest{})
	return captureOf(m), err
}

// StopCapture ends the capture. It can be dumped until another one begins.
func (c *Client) StopCapture(ctx context.Context) (Capture, error) {
	m, err := ask(ctx, c, c.captures.StopCapture, &pb.StopCaptureRequest{})
	return captureOf(m), err
}

// CaptureStatus returns the state of the capture.
func (c *Client) CaptureStatus(ctx context.Context) (Capture, error) {
	m, err := ask(ctx, c, c.captures.GetCaptureStatus, &pb.GetCaptureStatusRequest{})
	return captureOf(m), err
}

// Redaction is how much of what agents keep is in a dump of a capture.
type Redaction int

// The redactions.
const (
	RedactValues  Redaction = iota // digests in place of values: equality and length stay
	RedactNothing                  // everything as it was
	RedactNames                    // digests of values, and pseudonyms of names: equality, order and prefixes stay
)

var redactions = map[Redaction]pb.Redaction{
	RedactValues: pb.Redaction_REDACTION_VALUES, RedactNothing: pb.Redaction_REDACTION_NONE, RedactNames: pb.Redaction_REDACTION_VALUES_AND_NAMES,
}

// DumpCapture writes the capture as a history (docs/HISTORY.md). Only ctx bounds how long
// that takes. After an error the history is incomplete: it has no end line.
func (c *Client) DumpCapture(ctx context.Context, out io.Writer, r Redaction) error {
	redaction, known := redactions[r]
	if !known {
		return invalidf("there is no redaction %d", r)
	}
	stream, err := c.captures.DumpCapture(ctx, &pb.DumpCaptureRequest{Redaction: redaction})
	if err != nil {
		return fromStatus(err)
	}
	for {
		m, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return streamError(ctx, err)
		}
		if _, err := out.Write(m.GetData()); err != nil {
			return err
		}
	}
}

// RefusalQuery selects refusals. The zero value selects those of the namespace.
type RefusalQuery struct {
	All       bool // of all namespaces that may be read
	Conflicts bool // only those about what was there: conflicts, preconditions, leases
	Limit     int  // at most this many; 0: all
}

// Refusals returns what was refused in the last hour, the last first: like refusals together, and no value.
func (c *Client) Refusals(ctx context.Context, q RefusalQuery) ([]Refusal, error) {
	if q.Limit < 0 {
		return nil, invalidf("the limit is negative: %d", q.Limit)
	}
	req := &pb.ListRefusalsRequest{Namespace: c.namespaceUnless(q.All), All: q.All, Conflicts: q.Conflicts, Limit: uint32(q.Limit)}
	resp, err := ask(ctx, c, c.stub.ListRefusals, req)
	if err != nil {
		return nil, err
	}
	out := make([]Refusal, len(resp.GetRefusals()))
	for i, r := range resp.GetRefusals() {
		out[i] = state.RefusalOf(r)
	}
	return out, nil
}

// Streams returns the first thousand watches and replays of the namespace that are open, the oldest first; with
// all, those of all namespaces that may be read, and sessions.
func (c *Client) Streams(ctx context.Context, all bool) ([]Stream, error) {
	resp, err := ask(ctx, c, c.stub.ListStreams, &pb.ListStreamsRequest{Namespace: c.namespaceUnless(all), All: all})
	if err != nil {
		return nil, err
	}
	out := make([]Stream, len(resp.GetStreams()))
	for i, s := range resp.GetStreams() {
		out[i] = state.StreamOf(s)
	}
	return out, nil
}

func (c *Client) namespaceUnless(all bool) string {
	if all {
		return ""
	}
	return c.config.Namespace
}
