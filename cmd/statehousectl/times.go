package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"statehouse.dev/statehouse/client"
)

// parseAt reads a point of the order: a commit_ts, a time, or a time ago. Empty:
// now.
func parseAt(s string, now time.Time) (client.At, error) {
	if s == "" {
		return client.At{}, nil
	}
	if strings.Trim(s, "0123456789") == "" {
		ts, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return client.At{}, fmt.Errorf("%s is too large for a commit_ts", s)
		}
		return client.AtCommit(client.CommitTS(ts)), nil
	}
	t, err := parseTime(s, now)
	return client.AtTime(t), err
}

// parseTime reads a time, in the local zone when it names none, or a time ago.
func parseTime(s string, now time.Time) (time.Time, error) {
	if ago, ok := strings.CutPrefix(s, "-"); ok {
		d, err := parseDuration(ago)
		if err != nil {
			return time.Time{}, fmt.Errorf("%q is not a time ago: use a form like -30s, -5m, -2h30m or -7d", s)
		}
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: use 2026-02-07T10:00:00Z, \"2026-02-07 10:00:00\" or a time ago like -5m", s)
}

// parseDuration is time.ParseDuration with days.
func parseDuration(s string) (time.Duration, error) {
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
	more, err := time.ParseDuration(rest)
	if err == nil && more < 0 {
		err = fmt.Errorf("a second sign in %q", s)
	}
	return d + more, err
}
