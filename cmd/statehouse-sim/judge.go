package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	lin "statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/edn"
	"statehouse.dev/statehouse/linearizability/zst"
)

// judging is how a history is read.
type judging struct {
	parts bool // a long one in sections, of which the last is returned
	cut   bool // its end may be missing
}

// judge reads a history and judges it.
func (a *app) judge(path string, how judging) (*lin.History, lin.Result, *checked, error) {
	var r lin.Result
	in, done, err := openHistory(path)
	if err != nil {
		return nil, r, nil, failed(exitUsage, "%v", err)
	}
	defer done()
	c := &checked{File: path}
	began := a.now()
	var h *lin.History
	if s := in.long(how); s != nil {
		// A section is garbage when it is judged: finding that out more seldom is as good.
		defer debug.SetGCPercent(debug.SetGCPercent(300))
		c.Sections = true
		h, r, err = lin.CheckLong(s, lin.Options{Progress: a.checking(s)})
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
	c.BeforeBase, c.Dangling, c.Unexplained = st.BeforeBase, st.Dangling, st.Unexplained
	c.Seconds = a.now().Sub(began).Seconds()
	return h, r, c, nil
}

func notHistory(path string, err error) error {
	hint := ""
	if errors.Is(err, io.ErrUnexpectedEOF) {
		hint = " (whoever wrote it may have been killed: --cut takes it for what it holds)"
	}
	return failed(exitUsage, "%s is not a history: %v%s", path, err, hint)
}

// whole judges a history that is in memory.
func (c *checked) whole(h *lin.History) lin.Result {
	c.Missing = h.Rebuild()
	if !h.Complete {
		return lin.Result{Verdict: lin.VerdictUnknown, Stats: lin.Stats{Operations: len(h.Operations), Commits: len(h.Log), Gaps: len(h.Gaps)}}
	}
	if h.Header.Source == lin.SourceClient {
		c.Others = h.AdmitOthers()
	}
	return lin.Check(h, lin.Options{})
}

// checking says how far the check of a long history is.
func (a *app) checking(s *lin.Survey) func(done, size int64) {
	began, progress := a.now(), a.newProgress()
	return func(done, size int64) {
		progress.show(func(now time.Time) string {
			return fmt.Sprintf("checking %d operations: %d%% in %.0fs", s.Operations, 100*done/max(size, 1), now.Sub(began).Seconds())
		})
	}
}

// historyFile is a history that can be read more than once.
type historyFile struct {
	file io.ReaderAt
	size int64
}

func (f *historyFile) reader() io.Reader { return io.NewSectionReader(f.file, 0, f.size) }

// history reads the whole of it, in the format that its name says.
func (f *historyFile) history(path string, cut bool) (*lin.History, error) {
	if formatOf(path) == edn.Suffix {
		return edn.Read(f.reader())
	}
	if cut {
		return lin.ReadCut(f.reader())
	}
	return lin.ReadHistory(bufio.NewReaderSize(f.reader(), 1<<20))
}

// long surveys a history that can be judged in sections, and is long enough for that.
// Others are nil, and so is what is no history: whoever reads it says why.
func (f *historyFile) long(how judging) *lin.Survey {
	if !how.parts || how.cut || f.size < lin.LongHistory*minLine {
		return nil
	}
	s, err := lin.Look(f.file, f.size)
	if err != nil || !s.Complete || s.Operations < lin.LongHistory || s.Header.Source == lin.SourceClient {
		return nil
	}
	return s
}

// minLine is less than an operation takes in a file.
const minLine = 60

// openHistory opens a history. What is compressed, or can be read only once, is copied
// into a temporary file.
func openHistory(path string) (_ *historyFile, done func(), err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	if info.Mode().IsRegular() && !zst.Compressed(f) {
		return &historyFile{f, info.Size()}, func() { _ = f.Close() }, nil
	}
	defer f.Close()
	in, err := zst.NewReader(f)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	defer in.Close()
	temp, err := os.CreateTemp("", "statehouse-history-")
	if err != nil {
		return nil, nil, err
	}
	done = func() {
		_ = temp.Close()
		_ = os.Remove(temp.Name())
	}
	size, err := io.Copy(temp, in)
	if err != nil {
		done()
		return nil, nil, fmt.Errorf("unpacking %s: %w", path, err)
	}
	return &historyFile{temp, size}, done, nil
}
