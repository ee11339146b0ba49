//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package engine

import (
	"errors"
	"fmt"
	"io"
	"syscall"
)

// osFileID is Env.FileID on the operating system.
func osFileID(path string) (FileID, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return FileID{}, err
	}
	return FileID{Device: uint64(st.Dev), Inode: uint64(st.Ino)}, nil
}

// osLockDir is Env.LockDir on the operating system. The lock is on the directory, not on
// its name, and ends with the process.
func osLockDir(dir string) (io.Closer, error) {
	fd, err := syscall.Open(dir, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case err == nil:
		return dirLock(fd), nil
	case errors.Is(err, syscall.EBADF), errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENOLCK),
		errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EOPNOTSUPP): // some network file systems
		err = fmt.Errorf("%w (%w)", errors.ErrUnsupported, err)
	}
	_ = syscall.Close(fd)
	return nil, err
}

type dirLock int

func (l dirLock) Close() error { return syscall.Close(int(l)) }
