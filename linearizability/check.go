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
	// SkipOracle and SkipSerial switch a judge off, to learn what the other sees alone.
	SkipOracle, SkipSerial bool

	// Of CheckLong: how many operations a section has, and what is told how far in the file
	// it is.
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
func Check(h *history.History, o Options) Result { return check(h, o, nil) }

// check judges a history, or a section of a longer one.
func check(h *history.History, o Options, of *oracle.Section) Result {
	r := Result{Verdict: verdict.OK}
	if h.Complete && !o.SkipOracle {
		first := oracle.Check(h, of)
		r.Violations, r.Stats = first.Violations, first.Stats
	}
	r.Stats.Operations, r.Stats.Commits, r.Stats.Gaps = len(h.Operations), len(h.Log), len(h.Gaps)
	if len(r.Violations) == 0 && !o.SkipSerial {
		second := serial.Check(h, o.serial(of))
		r.Violations, r.Stats.DeepestSearch = second.Violations, second.DeepestSearch
		if second.Unknown {
			r.Verdict = verdict.Unknown
		}
	}
	if len(r.Violations) > 0 {
		r.Verdict = verdict.Illegal
	}
	return r
}

func (o *Options) serial(of *oracle.Section) serial.Options {
	s := serial.Options{Samples: o.Samples, SampleSize: o.SampleSize, Seed: o.Seed, SearchSteps: o.SearchSteps}
	if of != nil {
		s.Middle = &serial.Middle{Before: of.Middle, Asked: of.Asked}
	}
	return s
}
