// Package beside runs another command of Statehouse: commands are installed together, and
// a command that has moved from one to another is still found under its old name for a
// version.
package beside

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Command is one run of a command, with the streams that it is given. *os.File is passed
// on as it is: a terminal stays one.
type Command struct {
	Name     string // of the program
	Args     []string
	In       io.Reader
	Out, Err io.Writer
}

// Run runs the command and returns its exit code. An error says that it could not be run
// at all, and what to do. When ctx ends, the command is interrupted and waited for.
func (c Command) Run(ctx context.Context) (code int, err error) {
	path, err := find(c.Name)
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, path, c.Args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.In, c.Out, c.Err
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // SIGINT may be ignored, as in the background
	err = cmd.Run()
	switch ended := cmd.ProcessState; {
	case ended != nil && ended.ExitCode() >= 0: // by itself, interrupted or not
		return ended.ExitCode(), nil
	case ctx.Err() != nil:
		return 0, ctx.Err()
	}
	return 0, fmt.Errorf("%s: %w", path, err)
}

// find looks where this program is, and in PATH.
func find(name string) (string, error) {
	if own, err := os.Executable(); err == nil {
		if path, err := exec.LookPath(filepath.Join(filepath.Dir(own), name)); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("there is no %s beside this program or in PATH, and it is what does this: install it there", name)
	}
	return path, nil
}
