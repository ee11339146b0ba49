package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
)

func TestExplain(t *testing.T) {
	lost := errors.New(`no answer: connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`)
	for _, tt := range []struct {
		err  error
		code int
		says string
	}{
		{errors.New("unknown command"), exitUsage, "unknown command"},
		{working(usagef("mistake")), exitUsage, "mistake"},
		{working(failedf("not there")), exitFailed, "not there"},
		{working(errors.New("disk")), exitFailed, "disk"},
		{working(&client.OutcomeUnknownError{TxnID: "mine", Last: lost}), exitUnknown,
			"it is unknown whether transaction mine took effect: dial tcp 127.0.0.1:1: connect: connection refused\nAsk with: statehousectl txn status mine\n"},
		{working(context.Canceled), exitInterrupted, "interrupted"},
		{working(errors.Join(fmt.Errorf("write |1: %w", syscall.EPIPE), failedf("not there"))), exitOK, ""},
	} {
		code, message := explain(tt.err)
		if code != tt.code || !strings.Contains(message, tt.says) || tt.says == "" && message != "" {
			t.Errorf("%v: exit %d with %q, want %d with %q", tt.err, code, message, tt.code, tt.says)
		}
	}
}

func working(err error) error { return &failure{err, "localhost:1", 0, false} }

// full is a terminal that has gone.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestExecute(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(a *app) func(*cobra.Command, []string) error
		code int
		says string
	}{
		{"a reader that has gone", func(a *app) func(*cobra.Command, []string) error {
			return a.local(func(_ context.Context, p *printer, _ []string) error { return p.line("x") })
		}, exitOK, ""},
		{"escaped", func(a *app) func(*cobra.Command, []string) error {
			return a.local(func(context.Context, *printer, []string) error { return failedf("evil \x1b[31m\u202e name") })
		}, exitFailed, "statehousectl: evil \\x1b[31m\\u202e name\n"},
	} {
		var errOut bytes.Buffer
		a := &app{out: full{}, err: &errOut, getenv: func(string) string { return "" }}
		root := &cobra.Command{Use: "statehousectl", SilenceErrors: true, SilenceUsage: true, RunE: tt.run(a)}
		root.SetErr(&errOut)
		if code := execute(t.Context(), root, nil); code != tt.code || errOut.String() != tt.says {
			t.Errorf("%s: exit %d with %q", tt.name, code, errOut.String())
		}
	}
}
