//go:build !linux

package child

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// User is a user of the system. Servers run as who runs this.
type User struct{}

// Named finds no user.
func Named(string) (*User, error) {
	return nil, errors.New("servers run as another user on Linux only")
}

// Own changes nothing.
func (u *User) Own(string) error { return nil }

func attributes(*User) *syscall.SysProcAttr { return nil }

func killGroup(int) {}

// OwnCPU is 0: processor time is read on Linux only.
func OwnCPU() time.Duration { return 0 }

// TreeCPU cannot be read.
func TreeCPU(int) (time.Duration, error) { return 0, os.ErrNotExist }

// Listening finds none.
func Listening(string) (pid int, ok bool) { return 0, false }
