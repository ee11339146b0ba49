package linearizability

import (
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle"
	"statehouse.dev/statehouse/linearizability/serial"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// Options of Check. The zero value checks everything with defaults.
type Options struct {
	// Samples are judged without the log, each of about SampleSize operations; which,
	// follows from the Seed.
	Samples, SampleSize int
	Seed                uint64
	// SearchSteps bounds each of Porcupine's searches. One that ends there leaves the
	// verdict unknown. It is a number of steps and not a time, so that a verdict does
	// not depend on the machine.
	SearchSteps int
	// SkipOracle and SkipSerial leave a judge out, for who wants to know what the other
	// sees alone.
	SkipOracle, SkipSerial bool

	// Of CheckLong: how many operations a section has, and who wants to know how far in
	// the file it is.
	SectionSize int
	Progress    func(done, size int64)
}

// Result of Check.
type Result struct {
	Verdict    verdict.Verdict
	Violations []verdict.Violation
	Stats      verdict.Stats
}

// Check judges a history. Of one without the whole log, it judges only what needs
// none: unknown outcomes stay unknown, and answers must agree with each other.
func Check(h *history.History, o Options) Result {
	r, _ := check(h, o, nil)
	return r
}

func check(h *history.History, o Options, part *oracle.Section) (Result, *oracle.Judge) {
	j := oracle.NewJudge(h, part)
	if h.Complete && !o.SkipOracle {
		j.Compare(h)
	}
	r := Result{Verdict: verdict.OK, Violations: j.Violations, Stats: j.Stats}
	r.Stats.Operations, r.Stats.Commits, r.Stats.Gaps = len(h.Operations), len(h.Log), len(h.Gaps)
	if len(r.Violations) == 0 && !o.SkipSerial {
		p := serial.Check(h, o.serial(part))
		r.Violations, r.Stats.DeepestSearch = p.Violations, p.DeepestSearch
		if p.Unknown {
			r.Verdict = verdict.Unknown
		}
	}
	if len(r.Violations) > 0 {
		r.Verdict = verdict.Illegal
	}
	return r, j
}

func (o *Options) serial(part *oracle.Section) serial.Options {
	s := serial.Options{Samples: o.Samples, SampleSize: o.SampleSize, Seed: o.Seed, SearchSteps: o.SearchSteps}
	if part != nil {
		s.Middle = &serial.Middle{Before: part.Before, Asked: part.Past.Hides}
	}
	return s
}
