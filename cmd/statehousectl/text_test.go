package main

import (
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	if got := clock(time.Time{}); got != "-" {
		t.Errorf("no time is shown as %q", got)
	}
}
