package simdisk

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Validate reports the first thing wrong with the fault.
func (f Fault) Validate() error {
	names := f.Kind.namesOp()
	switch {
	case !slices.Contains(FaultKinds(), f.Kind):
		return fmt.Errorf("fault: unknown kind %q", f.Kind)
	case strings.ContainsFunc(f.File, unicode.IsSpace) || strings.Contains(f.File, "/"):
		return fmt.Errorf("fault: file=%q has white space or a slash", f.File)
	case f.Nth < 1:
		return fmt.Errorf("fault: nth=%d, counted from 1", f.Nth)
	case f.Count < 1 && f.Count != Forever:
		return fmt.Errorf("fault: count=%d", f.Count)
	case !names && f.Op != "":
		return fmt.Errorf("fault: op is for crash and stall, not for %s", f.Kind)
	case names && !slices.Contains(OpKinds(), f.Op):
		return fmt.Errorf("fault: %s at unknown op=%q", f.Kind, f.Op)
	case f.Kind != PowerCut && f.When != "":
		return fmt.Errorf("fault: when is for crash, not for %s", f.Kind)
	case f.Kind != PowerCut:
		return nil
	case f.When != Before && f.When != After:
		return fmt.Errorf("fault: when=%q, want before or after", f.When)
	case f.Count != 1:
		return fmt.Errorf("fault: count=%d, but a disk crashes once", f.Count)
	}
	return nil
}

// String prints the fault in the form that ParseFault reads. What has its default
// value is left out, except nth.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(string(f.Kind))
	if f.File != "" {
		b.WriteString(" file=" + f.File)
	}
	if f.Op != "" {
		b.WriteString(" op=" + string(f.Op))
	}
	b.WriteString(" nth=" + strconv.Itoa(f.Nth))
	switch f.Count {
	case 1:
	case Forever:
		b.WriteString(" count=forever")
	default:
		b.WriteString(" count=" + strconv.Itoa(f.Count))
	}
	if f.When != "" {
		b.WriteString(" when=" + string(f.When))
	}
	return b.String()
}

// ParseFault reads a fault as String prints it: a kind, then key=value in any
// order. By default file fits all, nth is 1, count is 1 and when is before.
// The fault it returns is valid.
func ParseFault(s string) (Fault, error) {
	words := strings.Fields(s)
	if len(words) == 0 {
		return Fault{}, fmt.Errorf("fault: empty")
	}
	f := Fault{Kind: FaultKind(words[0]), Nth: 1, Count: 1}
	if f.Kind == PowerCut {
		f.When = Before
	}
	seen := make(map[string]bool)
	for _, word := range words[1:] {
		key, value, ok := strings.Cut(word, "=")
		if !ok || value == "" || seen[key] {
			return Fault{}, fmt.Errorf("fault %q: bad or repeated %q", s, word)
		}
		seen[key] = true
		if err := f.set(key, value); err != nil {
			return Fault{}, fmt.Errorf("fault %q: %w", s, err)
		}
	}
	if err := f.Validate(); err != nil {
		return Fault{}, err
	}
	return f, nil
}

func (f *Fault) set(key, value string) (err error) {
	switch key {
	case "file":
		f.File = value
	case "op":
		f.Op = OpKind(value)
	case "nth":
		f.Nth, err = strconv.Atoi(value)
	case "count":
		if value == "forever" {
			f.Count = Forever
		} else if f.Count, err = strconv.Atoi(value); f.Count < 1 {
			err = fmt.Errorf("count=%s", value)
		}
	case "when":
		f.When = When(value)
	default:
		err = fmt.Errorf("unknown key %q", key)
	}
	return err
}
