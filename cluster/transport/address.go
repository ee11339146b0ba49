package transport

import (
	"fmt"
	"net"
	"strings"
)

// CheckAddr refuses what is no address that others could connect to.
func CheckAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	if err != nil || host == "" || port == "" || port == "0" || ip != nil && ip.IsUnspecified() || strings.ContainsAny(addr, " \t\r\n,/") || len(addr) > maxAddr {
		return fmt.Errorf("%q is no address that others could connect to: it is host:port, both given", addr)
	}
	return nil
}

// maxAddr bounds an address: names of hosts have at most 253 characters.
const maxAddr = 300
