package child

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// User is a user of the system.
type User struct{ uid, gid uint32 }

// Named returns the user of that name.
func Named(name string) (*User, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &User{uint32(uid), uint32(gid)}, err
}

// Own makes the directory the user's.
func (u *User) Own(dir string) error { return os.Chown(dir, int(u.uid), int(u.gid)) }

// attributes keep a terminal's interrupt from the child, which this process ends itself,
// and end it should this process be killed.
func attributes(u *User) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if u != nil {
		a.Credential = &syscall.Credential{Uid: u.uid, Gid: u.gid}
	}
	return a
}

// killGroup ends what a child has started in turn and left behind.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) } // there is hardly ever anything

// OwnCPU is the processor time of this process so far.
func OwnCPU() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t) != nil {
		return 0 // there is no Linux without that clock
	}
	return time.Duration(t.Nano())
}

// processCPU reads the clock of another process: exact, where /proc counts ticks.
func processCPU(pid int) (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|2, &t); err != nil { // clock_getcpuclockid(3)
		return 0, fmt.Errorf("the processor time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// TreeCPU is the processor time of a process and of those that it started, also of those
// that have ended.
func TreeCPU(pid int) (time.Duration, error) {
	total, err := processCPU(pid)
	if err != nil {
		return 0, err
	}
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, path := range paths {
		s, ok := readStat(path)
		switch {
		case !ok: // it has ended meanwhile
		case s.pid == pid:
			total += s.reaped
		case s.parent == pid:
			if own, err := processCPU(s.pid); err == nil {
				total += own
			}
		}
	}
	return total, nil
}

type stat struct {
	pid, parent int
	reaped      time.Duration // processor time of its children that have ended
}

// readStat reads proc_pid_stat(5).
func readStat(path string) (s stat, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return s, false
	}
	_, rest, ok := strings.Cut(string(text), ") ") // after the program's name
	fields := strings.Fields(rest)
	if !ok || len(fields) < 15 {
		return s, false
	}
	const tick = time.Second / 100 // USER_HZ, the same on every machine that Go runs on
	number := func(field int) int {
		n, _ := strconv.Atoi(fields[field-3]) // the system writes numbers there
		return n
	}
	s.pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(path)))
	s.parent, s.reaped = number(4), time.Duration(number(16)+number(17))*tick
	return s, true
}
