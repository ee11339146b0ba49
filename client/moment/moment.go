// Package moment reads what people write for a point of the order or a time: in command lines, and
// in what a model asks for.
package moment

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"statehouse.dev/statehouse/client/state"
)

// ParseAt reads a point of the order: a commit_ts, a time, a time ago, or now. Empty:
// now, too.
func ParseAt(s string, now time.Time) (state.At, error) {
	if s == "" || s == "now" {
		return state.At{}, nil
	}
	if strings.Trim(s, "0123456789") == "" {
		ts, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return state.At{}, fmt.Errorf("%s is too large for a commit_ts", s)
		}
		return state.AtCommit(state.CommitTS(ts)), nil
	}
	t, err := Parse(s, now)
	return state.AtTime(t), err
}

// Parse reads a time, in the local zone when it names none, a time ago, or now. What
// asks for the past needs no sign in front of a duration; one is accepted.
func Parse(s string, now time.Time) (time.Time, error) {
	if s == "now" {
		return now, nil
	}
	if d, err := ParseDuration(strings.TrimPrefix(s, "-")); err == nil {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: use 2026-02-07T10:00:00Z, \"2026-02-07 10:00:00\", 2026-02-07, a time ago like 30s, 5m, 2h30m or 7d, or now", s)
}

// ParseDuration is time.ParseDuration with days.
func ParseDuration(s string) (time.Duration, error) {
	days, rest, hasDays := strings.Cut(s, "d")
	if !hasDays {
		days, rest = "0", s
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, err
	}
	d := time.Duration(n) * 24 * time.Hour
	if rest == "" && hasDays {
		return d, nil
	}
	if strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") {
		return 0, fmt.Errorf("a sign in %q", s)
	}
	more, err := time.ParseDuration(rest)
	if err == nil && rest == "0" && !hasDays {
		err = fmt.Errorf("no unit in %q", s) // it looks like a commit_ts
	}
	return d + more, err
}
