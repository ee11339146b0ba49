//go:build !unix

package main

import "os"

// signals are those that are answered while the daemon runs: there are none here.
type signals struct{ hangup, user1 chan os.Signal }

func catchSignals() *signals { return &signals{} }

func (s *signals) release() {}
