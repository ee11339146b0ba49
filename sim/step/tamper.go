package step

import (
	"fmt"
	"slices"
)

// What a tamper changes, and how. Package tamper does it, and says what each is.
var tampers = []struct {
	rows string
	ways []string
}{
	{"record", []string{"flip", "swap", "forge", "drop", "copy", "exchange", "extend", "blank", "bury"}},
	{"event", []string{"flip", "swap", "forge", "drop", "copy", "exchange", "extend", "retell", "rewrite"}},
	{"log", []string{"flip", "swap", "forge", "drop", "copy", "exchange", "extend"}},
	{"outcome", []string{"flip", "swap", "forge", "drop", "copy", "exchange"}},
	{"agent", []string{"flip", "swap", "forge", "drop", "copy", "exchange"}},
	{"namespace", []string{"flip", "swap", "forge", "drop", "copy", "exchange"}},
	{"meta", []string{"flip", "forge", "drop", "copy"}},
	{"tail", []string{"drop", "rewind", "spoil", "rewrite"}},
	{"witness", []string{"forge", "ahead"}},
}

// Tampers lists every tamper there is, as steps of the first row.
func Tampers() (list []Step) {
	for _, t := range tampers {
		for _, way := range t.ways {
			list = append(list, Step{Verb: Tamper, File: t.rows, How: way, Nth: 1, Where: 0.5})
		}
	}
	return list
}

// HasPlace reports whether a tamper has a place in its row: a bit that it flips.
func (s *Step) HasPlace() bool { return s.How == "flip" || s.How == "forge" }

func (s *Step) tamperString() string {
	text := fmt.Sprintf("tamper %s %s nth=%d", s.File, s.How, s.Nth)
	if s.HasPlace() {
		text += fmt.Sprintf(" where=%s bit=%d", fraction(s.Where), s.Bit)
	}
	return text
}

func (s *Step) parseTamper(words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("want a kind of rows, and what becomes of them")
	}
	s.File, s.How, s.Nth, s.Where = words[0], words[1], 1, 0.5
	if !slices.ContainsFunc(Tampers(), func(t Step) bool { return t.File == s.File && t.How == s.How }) {
		return fmt.Errorf("%q of %q is no tampering", s.How, s.File)
	}
	if err := s.setOptions(words[2:]); err != nil {
		return err
	}
	return s.checkPlace()
}
