// Package child runs the servers that are measured as processes of this one: it waits
// until one is ready, reads its processor time, and leaves none of them behind.
package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Command is a server to start.
type Command struct {
	Path string
	Args []string
	Dir  string
	// Ready matches the line of its output that says that it serves.
	Ready *regexp.Regexp
	// Stop is the signal that ends it in order; SIGTERM if nil.
	Stop os.Signal
	// User is who runs it, if not who runs this.
	User *User
}

// Process is a server that was started.
type Process struct {
	Said []string // what Ready matched, and its groups

	command Command
	cmd     *exec.Cmd
	ended   chan struct{} // closed once it has, after err is set
	err     error
}

// How long a server may take to be ready, and to end after it was asked to.
const (
	readyWithin = time.Minute
	endWithin   = 10 * time.Second
)

// Start starts a server and waits until it is ready.
func Start(ctx context.Context, c Command) (*Process, error) {
	p := &Process{command: c, cmd: exec.Command(c.Path, c.Args...), ended: make(chan struct{})}
	p.cmd.Dir = c.Dir
	p.cmd.SysProcAttr = attributes(c.User)
	p.cmd.WaitDelay = time.Second // for the output of what it started in turn and left behind
	// A server that cares ends when its standard input does: with this process.
	if _, err := p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	in, out := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = out, out
	started := make(chan error, 1)
	go func() {
		// The system ends a child when the thread that started it ends: this one lasts.
		runtime.LockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
			killGroup(p.Pid())
		}
		_ = out.Close() // always nil
		close(p.ended)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	said := watchOutput(in, c.Ready)
	var err error
	select {
	case <-said.ready:
		p.Said = said.match
		return p, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(readyWithin):
		err = fmt.Errorf("it is not ready after %v", readyWithin)
	case <-p.ended:
		err = errors.New("it ended at once")
	}
	p.End()
	return nil, fmt.Errorf("%s: %w\n%s", c.Path, err, said.tail())
}

// End ends it, in order if it can, and waits until it is gone.
func (p *Process) End() {
	stop := p.command.Stop
	if stop == nil {
		stop = syscall.SIGTERM
	}
	_ = p.cmd.Process.Signal(stop) // it may be gone
	select {
	case <-p.ended:
	case <-time.After(endWithin):
		_ = p.cmd.Process.Kill() // as above
		<-p.ended
	}
}

// Pid is its number.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// CPU is the processor time that it and its own children have used so far.
func (p *Process) CPU() (time.Duration, error) {
	select {
	case <-p.ended:
		return 0, fmt.Errorf("%s ended by itself: %v", p.command.Path, p.err)
	default:
		return TreeCPU(p.Pid())
	}
}

// output is what a server has said.
type output struct {
	ready chan struct{} // closed once match is set
	match []string

	mu   sync.Mutex
	last []string
}

// watchOutput reads it to the end, since a full pipe would hold the server up.
func watchOutput(in io.Reader, ready *regexp.Regexp) *output {
	o := &output{ready: make(chan struct{})}
	go func() {
		lines := bufio.NewReader(in)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			o.mu.Lock()
			o.last = append(o.last[max(0, len(o.last)-9):], line)
			o.mu.Unlock()
			if o.match == nil {
				if o.match = ready.FindStringSubmatch(line); o.match != nil {
					close(o.ready)
				}
			}
		}
	}()
	return o
}

func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.TrimSpace(strings.Join(o.last, ""))
}

// FreePort is a port of the loopback interface that no process listens on.
func FreePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// Run runs a command that ends by itself.
func (c Command) Run(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Dir, cmd.SysProcAttr = c.Dir, attributes(c.User)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", c.Path, err, out)
	}
	return nil
}
