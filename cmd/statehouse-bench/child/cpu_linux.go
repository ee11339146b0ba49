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
	reaped, err := reapedCPU(pid)
	if err != nil {
		return 0, err
	}
	total += reaped
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // proc_pid_task(5)
	if err != nil {
		return 0, err
	}
	for _, list := range lists {
		text, _ := os.ReadFile(list) // it has none if the thread has ended
		for _, word := range strings.Fields(string(text)) {
			one, err := strconv.Atoi(word)
			if err != nil {
				return 0, err
			}
			if own, err := processCPU(one); err == nil { // otherwise it has ended
				total += own
			}
		}
	}
	return total, nil
}

// reapedCPU is the processor time of a process's children that have ended: proc_pid_stat(5).
func reapedCPU(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // after the program's name
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return 0, fmt.Errorf("the status of process %d is %q", pid, text)
	}
	const tick = time.Second / 100 // USER_HZ, the same on every machine that Go runs on
	user, err := strconv.Atoi(fields[16-3])
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(fields[17-3])
	return time.Duration(user+system) * tick, err
}
