package main

import (
	"context"
	"log/slog"

	"statehouse.dev/statehouse/server/conns"
)

// borrowed is the log for a library that says much, and what clients cause: the daemon's, but what is no warning is for
// those who look for it, and of warnings there is one a second at most.
type borrowed struct {
	slog.Handler
	note func(event string, attrs ...any)
}

// borrowedLog is log for a library, under whose name its warnings stand.
func borrowedLog(log *slog.Logger, name string) *slog.Logger {
	warn := conns.Sparing(log.Warn)
	return slog.New(borrowed{log.Handler(), func(message string, attrs ...any) {
		warn(name, append([]any{"message", message}, attrs...)...) // sparing by an event that is always the same
	}})
}

func (b borrowed) Enabled(ctx context.Context, level slog.Level) bool {
	if level < slog.LevelWarn {
		level = slog.LevelDebug
	}
	return b.Handler.Enabled(ctx, level)
}

// maxBorrowed bounds a message, which may repeat what a client sent.
const maxBorrowed = 500

func (b borrowed) Handle(ctx context.Context, r slog.Record) error {
	if len(r.Message) > maxBorrowed {
		r.Message = r.Message[:maxBorrowed] + "…"
	}
	if r.Level < slog.LevelWarn {
		r.Level = slog.LevelDebug
		return b.Handler.Handle(ctx, r)
	}
	var attrs []any
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	b.note(r.Message, attrs...)
	return nil
}

func (b borrowed) WithAttrs(attrs []slog.Attr) slog.Handler {
	return borrowed{b.Handler.WithAttrs(attrs), b.note}
}
func (b borrowed) WithGroup(name string) slog.Handler {
	return borrowed{b.Handler.WithGroup(name), b.note}
}
