// Package metrics shows a service to those who watch over it: its numbers as Prometheus reads
// them, whether it lives and is ready, and, if asked for, Go's profiles. It has a listener of
// its own, so that none of it can be reached where agents are let in, and agents that take up
// all connections do not make the daemon invisible.
//
// Numbers are read when somebody asks for them. Labels have few values, all of them known when
// the daemon starts: methods, codes, limits, levels, and namespaces that the operator listed.
package metrics

import (
	"fmt"
	"strings"

	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/meter"
)

// kind is what Prometheus calls the type of a metric.
type kind int

const (
	gauge kind = iota
	counter
	histogram
)

// family is one metric: its name, what it means, and how its numbers are read.
type family struct {
	name   string
	kind   kind
	help   string
	labels []string
	read   func(st *server.Stats, add func(v float64, labels ...string))
	spread func(st *server.Stats, add func(d meter.Distribution, labels ...string))
}

// namespace begins the name of every metric of ours.
const namespace = "statehouse_"

// snake is a Go name as label values are written: StagedBytes is staged_bytes.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// method is the name of a method without its package, which says nothing: the full name of another
// service's keeps the service.
func method(full string) string {
	name := strings.TrimPrefix(full, "/")
	for _, own := range []string{"statehouse.v1.StatehouseService/", "statehouse.v1."} {
		if rest, ours := strings.CutPrefix(name, own); ours {
			return rest
		}
	}
	return name
}

// ofAgents reports whether a method is of the contract of agents: those are shown from the
// start, so that their first request is seen as a rise.
func ofAgents(full string) bool {
	return strings.HasPrefix(full, "/statehouse.v1.StatehouseService/")
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func level(i int) string { return fmt.Sprint(i) }
