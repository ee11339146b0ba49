package child

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Listening finds the process of this machine that listens on a port of it. It needs to
// be run by the same user, or by root.
func Listening(port string) (pid int, ok bool) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return 0, false
	}
	sockets := make(map[string]bool)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		listeners(table, fmt.Sprintf(":%04X", n), sockets)
	}
	files, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil || len(sockets) == 0 {
		return 0, false
	}
	for _, file := range files {
		if what, err := os.Readlink(file); err == nil && sockets[what] {
			pid, err := strconv.Atoi(strings.Split(file, "/")[2])
			return pid, err == nil
		}
	}
	return 0, false
}

// listeners adds the sockets of a table, as /proc/PID/fd names them, that listen at an
// address with this end.
func listeners(table, end string, sockets map[string]bool) {
	f, err := os.Open(table)
	if err != nil {
		return // the system may have no IPv6
	}
	defer f.Close()
	const listening = "0A"
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 9 && strings.HasSuffix(fields[1], end) && fields[3] == listening {
			sockets["socket:["+fields[9]+"]"] = true
		}
	}
}
