package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows on standard error that long work goes on, and how much of it is done: only
// on a terminal, where it is gone when the work is. The nil one shows nothing.
type progress struct{ bar *progressbar.ProgressBar }

// progress begins to show it of work whose end is not known, where it is wanted.
func (a *app) progress(what string, wanted bool) *progress {
	if !wanted || a.asJSON || !isTerminal(a.err) || a.getenv("TERM") == "dumb" {
		return nil
	}
	return &progress{progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(a.err), progressbar.OptionSetDescription(what), progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSpinnerType(14))}
}

// add counts one item more.
func (p *progress) add() {
	if p != nil {
		_ = p.bar.Add(1) // what cannot be shown is not missed
	}
}

// to shows how much is done of all that there is.
func (p *progress) to(done, all uint64) {
	if p != nil && done < all { // at the end it is taken away
		if p.bar.GetMax64() != int64(all) {
			p.bar.ChangeMax64(int64(all))
		}
		_ = p.bar.Set64(int64(done))
	}
}

// end takes it away.
func (p *progress) end() {
	if p != nil {
		_ = p.bar.Finish()
	}
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
