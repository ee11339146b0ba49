package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"

	"statehouse.dev/statehouse/server/admin"
)

// operator is what operators can ask of the process.
func (p *process) operator(s *settings, level *slog.LevelVar, w *watched) admin.Process {
	o := admin.Process{
		SetLogLevel: func(to string) (string, error) {
			var next slog.Level
			if !slices.Contains([]string{"debug", "info", "warn", "error"}, to) {
				return "", fmt.Errorf("the level of the log is debug, info, warn or error, not %q", to)
			}
			if err := next.UnmarshalText([]byte(to)); err != nil {
				return "", err
			}
			previous := strings.ToLower(level.Level().String())
			level.Set(next)
			return previous, nil
		},
		Diagnostics: []admin.Diagnostic{
			{Name: "metrics", Text: func() ([]byte, error) {
				var b bytes.Buffer
				err := w.metrics.WriteText(&b)
				return b.Bytes(), err
			}},
			{Name: "config", Text: func() ([]byte, error) { return s.masked(), nil }},
			{Name: "log", Text: func() ([]byte, error) { return p.log.last.text(), nil }},
		},
	}
	if w.profile {
		o.Diagnostics = append(o.Diagnostics, admin.Diagnostic{Name: "goroutines", Text: func() ([]byte, error) {
			var b bytes.Buffer
			err := pprof.Lookup("goroutine").WriteTo(&b, 1) // alike ones together, and without arguments
			return b.Bytes(), err
		}})
	}
	return o
}

// masked are the settings as a file of them would have them, without what is secret.
func (s *settings) masked() []byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(s.values)) {
		value := s.values[name]
		if name == "help" || name == "version" {
			continue
		}
		if secret(name) && value != "" {
			value = "(masked)"
		}
		fmt.Fprintf(&b, "%s: %q\n", name, value)
	}
	return b.Bytes()
}

// secret reports whether a setting is one itself. A file's name is none.
func secret(name string) bool {
	return !strings.HasSuffix(name, "-file") && (strings.Contains(name, "token") || strings.Contains(name, "secret") || strings.Contains(name, "password"))
}

// lastLines keeps the end of the log, for whoever looks into a problem later.
type lastLines struct {
	mu    sync.Mutex
	lines [][]byte
	next  int
}

// keptLines of lineBytes each at most: half a MiB.
const (
	keptLines = 512
	lineBytes = 1024
)

func (l *lastLines) add(p []byte) {
	line := bytes.Clone(p[:min(len(p), lineBytes)])
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) < keptLines {
		l.lines = append(l.lines, line)
		return
	}
	l.lines[l.next] = line
	l.next = (l.next + 1) % keptLines
}

func (l *lastLines) text() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b bytes.Buffer
	for i := range l.lines {
		line := bytes.TrimRight(l.lines[(l.next+i)%len(l.lines)], "\n")
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.Bytes()
}
