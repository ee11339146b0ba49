package main

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// judging is how a history is read.
type judging struct {
	parts  bool // a long one in sections, of which the last is returned
	cut    bool // its end may be missing
	limits readLimits
}

// judge reads a history and judges it.
func (a *app) judge(path string, how judging) (*history.History, linearizability.Result, *checked, error) {
	var r linearizability.Result
	in, done, err := openHistory(path, how.limits)
	if err != nil {
		return nil, r, nil, failed(exitUsage, "%v", err)
	}
	defer done()
	c := &checked{File: path}
	began := a.now()
	var h *history.History
	if s := in.long(how); s != nil {
		// A section is garbage when it is judged: finding that out more seldom is as good.
		defer debug.SetGCPercent(debug.SetGCPercent(300))
		c.Sections = true
		h, r, err = linearizability.CheckLong(s, linearizability.Options{Progress: a.checking(s)})
		a.clearLine()
	} else if h, err = in.history(path, how.cut); err == nil {
		began = a.now()
		r = c.whole(h)
	}
	if err != nil {
		return nil, r, nil, notHistory(path, err)
	}
	h.Header.Command = "statehouse-sim check " + path
	st := &r.Stats
	c.Verdict, c.Violations, c.Operations, c.Commits = r.Verdict, r.Violations, st.Operations, st.Commits
	c.Partial, c.Gaps = h.Header.Base != nil || st.Gaps+st.Dangling+st.BeforeBase+st.Unexplained > 0, st.Gaps
	c.BeforeBase, c.Dangling, c.Outside, c.Unexplained = st.BeforeBase, st.Dangling, st.Outside, st.Unexplained
	if b := h.Header.Base; b != nil && b.Covers > 0 {
		c.Covered = len(b.Agents)
	}
	c.Seconds = a.now().Sub(began).Seconds()
	return h, r, c, nil
}

func notHistory(path string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, errTooLarge):
		return failed(exitUsage, "%s: %v", path, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		hint = " (whoever wrote it may have been killed: --cut takes it for what it holds)"
	}
	return failed(exitUsage, "%s is not a history: %v%s", path, err, hint)
}

// whole judges a history that is in memory.
func (c *checked) whole(h *history.History) linearizability.Result {
	c.Missing = h.Rebuild()
	if !h.Complete {
		return linearizability.Result{Verdict: verdict.Unknown, Stats: verdict.Stats{Operations: len(h.Operations), Commits: len(h.Log), Gaps: len(h.Gaps)}}
	}
	if h.Header.Source == history.SourceClient {
		c.Others = linearizability.AdmitOthers(h)
	}
	return linearizability.Check(h, linearizability.Options{})
}

// checking says how far the check of a long history is.
func (a *app) checking(s *history.Index) func(done, size int64) {
	began, progress := a.now(), a.newProgress()
	return func(done, size int64) {
		progress.show(func(now time.Time) string {
			return fmt.Sprintf("checking %d operations: %d%% in %.0fs", s.Operations, 100*done/max(size, 1), now.Sub(began).Seconds())
		})
	}
}
