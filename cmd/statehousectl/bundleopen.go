package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/history/bundle"
)

// Bundles are opened without a daemon: they may have come from anywhere, and nothing of
// them is believed before every hash has been compared.

// opening makes a command of f, which gets the bundles that are named.
func (a *app) opening(cmd *cobra.Command, f func(p *printer, opened []*bundle.Bundle, names []string) error) *cobra.Command {
	var limit int64
	cmd.Flags().Int64Var(&limit, "max-bytes", bundle.DefaultBytes, "refuse what unpacks to more than this")
	cmd.RunE = a.local(func(_ context.Context, p *printer, names []string) error {
		var opened []*bundle.Bundle
		for _, name := range names {
			b, file, err := openBundle(name, limit)
			if err != nil {
				return err
			}
			defer file.Close()
			opened = append(opened, b)
		}
		return f(p, opened, names)
	})
	return cmd
}

// openBundle opens a file; close it when done.
func openBundle(path string, limit int64) (*bundle.Bundle, *os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, unreadable(path, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err == nil {
		var b *bundle.Bundle
		if b, err = bundle.Open(f, info.Size(), limit); err == nil {
			return b, f, nil
		}
	}
	_ = f.Close() // only read
	return nil, nil, unreadable(path, err)
}

// unreadable says that a file is not what it should be.
func unreadable(path string, err error) error {
	var named *os.PathError
	if errors.As(err, &named) {
		err = named.Err // which names the file again
	}
	return usagef("%s: %v", quote(path), err)
}
