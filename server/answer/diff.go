package answer

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/jsonpatch"
	"statehouse.dev/statehouse/server/wire"
)

// diffValues makes a DiffRequest one that is answered with values: none of them is refused.
type diffValues struct{ *pb.DiffRequest }

func (diffValues) GetStrict() bool { return false }

func (s *Service) Diff(ctx context.Context, req *pb.DiffRequest) (*pb.DiffResponse, error) {
	values, err := wire.ValuesFor(diffValues{req})
	if err != nil {
		return nil, err
	}
	o := engine.DiffOptions{Prefix: req.GetPrefix(), Same: noDifference, Page: s.page(req.GetLimit(), s.config.Tuning.NamesPage)}
	o.From.Agent = engine.AgentName{Namespace: req.GetNamespace(), Agent: req.GetAgentId()}
	o.To.Agent = o.From.Agent
	if req.GetToNamespace() != "" {
		o.To.Agent.Namespace = req.GetToNamespace()
	}
	if req.GetToAgentId() != "" {
		o.To.Agent.Agent = req.GetToAgentId()
	}
	o.Page.Bytes /= 2 // beside two values there is a patch, which may be as long as the second
	scope := []string{"diff", req.GetNamespace(), req.GetAgentId(), req.GetToNamespace(), req.GetToAgentId(), req.GetPrefix()}
	if err := s.diffPoints(ctx, req, &o, scope); err != nil {
		return nil, err
	}
	found, err := s.engine.Diff(o)
	if err != nil {
		return nil, err
	}
	resp, size := &pb.DiffResponse{FromTs: uint64(o.From.At.TS()), ToTs: uint64(o.To.At.TS())}, sizer{of: s}
	for i := range found.Keys {
		d := &found.Keys[i]
		k, err := s.keyDiff(d, &o, values)
		if err == nil {
			err = size.add(k)
		}
		if err != nil {
			return nil, err
		}
		resp.Keys, d.From.Value, d.To.Value = append(resp.Keys, k), nil, nil
	}
	if found.Next != "" {
		if len(found.Keys) > 0 {
			s.pageFull(len(found.Keys), o.Page)
		}
		resp.NextPageToken = s.nextPage(max(o.From.At.TS(), o.To.At.TS()), diffPlace(&o, found.Next), scope...)
	}
	return resp, s.fits(resp)
}

// diffPoints resolves the two points of a diff, or takes those of the page before.
func (s *Service) diffPoints(ctx context.Context, req *pb.DiffRequest, o *engine.DiffOptions, scope []string) error {
	from, err := wire.AtOf(req.GetFrom())
	if err != nil {
		return err
	}
	to, err := wire.AtOf(req.GetTo())
	if err != nil {
		return err
	}
	token, _, err := s.pageAfter(req.GetPageToken(), engine.At{}, scope...)
	if err != nil {
		return err
	}
	now := engine.At{}
	if req.GetPageToken() != "" {
		if from, to, o.After, err = placeOfDiff(token.Last); err != nil {
			return err
		}
	} else if req.GetFrom() == nil {
		from.CommitTS = new(engine.CommitTS)
	}
	o.From.Empty = from.CommitTS != nil && *from.CommitTS == 0
	o.To.Empty = to.CommitTS != nil && *to.CommitTS == 0
	if o.To.At, err = s.engine.Snapshot(to); err != nil {
		return err
	}
	if o.From.At = o.To.At; from != now || to != now { // else both are the same now
		if o.From.At, err = s.engine.Snapshot(from); err != nil {
			return err
		}
	}
	o.From.At, o.To.At = o.From.At.Within(ctx), o.To.At.Within(ctx)
	return nil
}

// diffPlace is what a token says of a diff: both points, and the last key.
func diffPlace(o *engine.DiffOptions, last string) string {
	return o.From.At.TS().String() + "\x00" + o.To.At.TS().String() + "\x00" + last
}

func placeOfDiff(s string) (from, to engine.At, last string, err error) {
	parts := strings.SplitN(s, "\x00", 3)
	var points [2]engine.CommitTS
	for i := range points {
		n := uint64(0)
		if len(parts) == 3 {
			n, err = strconv.ParseUint(parts[i], 10, 64)
		}
		if len(parts) < 3 || err != nil {
			return from, to, "", wire.Invalid("page_token", "page_token is not one that this request answered")
		}
		points[i] = engine.CommitTS(n)
	}
	return engine.At{CommitTS: &points[0]}, engine.At{CommitTS: &points[1]}, parts[2], nil
}

func (s *Service) keyDiff(d *engine.Difference, o *engine.DiffOptions, values wire.Values) (*pb.KeyDiff, error) {
	k := &pb.KeyDiff{Key: d.Key}
	if isJSON(d.From.Value) && isJSON(d.To.Value) {
		k.PatchJson = jsonpatch.Make(d.From.Value, d.To.Value)
	}
	if values.None() {
		d.From.Value, d.To.Value = nil, nil
	}
	var err error
	if k.Before, err = s.stateAnswer(&d.From, o.From.At.TS(), values); err != nil {
		return nil, err
	}
	k.After, err = s.stateAnswer(&d.To, o.To.At.TS(), values)
	return k, err
}

// isJSON reports whether a stored value is JSON text, and not bytes, or gone.
func isJSON(value []byte) bool { return len(value) > 0 && value[0] == '{' }

// noDifference reports whether two stored values, which are not the same bytes, are no difference.
func noDifference(from, to []byte) bool {
	return isJSON(from) && isJSON(to) && jsonpatch.Same(from, to)
}

func moreThanOneAnswer(n int) error {
	return wire.Fail(engine.ErrLimit, fmt.Sprintf("there is more than one answer can hold (%d so far): set limit and follow next_page_token", n))
}
