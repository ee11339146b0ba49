package reach

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// DefaultPort is the one that a daemon listens on, and that an address without a
// port means.
const DefaultPort = 50051

// Address is where a daemon is, as [ParseAddress] reads it.
type Address struct {
	Host string // a name, or an IP address without brackets
	Port uint16
	// Scheme is "http" when the address demands plain text, "https" when it demands
	// TLS, and empty when it leaves that to the configuration.
	Scheme string
}

// ParseAddress reads the address of a daemon:
//
//	[http:// | https://] HOST [:PORT] [/]
//
// HOST is a name, an IPv4 address, or an IPv6 address in brackets. Without a port it
// is [DefaultPort], whatever the scheme. A slash may only end an address with a
// scheme. Everything else is refused: what a resolver would make of it is a guess, and a
// wrong guess shows only as a timeout.
//
// client/testdata/addresses.json holds cases that all clients of Statehouse treat alike.
func ParseAddress(s string) (Address, error) {
	var a Address
	switch {
	case s == "":
		return a, errors.New("the address is empty: give HOST or HOST:PORT")
	case strings.Contains(s, "@"): // not repeated in the message: it may hold a secret
		return a, errors.New("the address has a user or a password before an @, which no daemon asks for: give HOST:PORT, and a token by its own setting")
	case strings.ContainsAny(s, " \t\r\n\v\f"):
		return a, fmt.Errorf("the address %q has a space or a line break in it", s)
	}
	rest := s
	if scheme, after, found := strings.Cut(s, "://"); found {
		a.Scheme = strings.ToLower(scheme)
		if a.Scheme != "http" && a.Scheme != "https" {
			return a, fmt.Errorf("the address %q has a scheme other than http and https; give HOST:PORT", s)
		}
		rest = strings.TrimSuffix(after, "/")
	}
	if strings.ContainsAny(rest, `/?#\`) {
		return a, fmt.Errorf("the address %q has a path or a query; an address is only HOST:PORT", s)
	}
	host, port, err := splitAddress(s, rest)
	if err != nil {
		return a, err
	}
	a.Host, a.Port = host, DefaultPort
	if port != nil {
		a.Port, err = parsePort(s, *port)
	}
	return a, err
}

// splitAddress splits rest, the address s without its scheme, into host and port. The
// port is nil if there is none.
func splitAddress(s, rest string) (host string, port *string, err error) {
	if inner, bracketed := strings.CutPrefix(rest, "["); bracketed {
		host, after, closed := strings.Cut(inner, "]")
		ip, iperr := netip.ParseAddr(host)
		switch {
		case closed && host == "":
			return "", nil, fmt.Errorf("the address %q names no host", s)
		case !closed || iperr != nil || !ip.Is6() || ip.Zone() != "":
			return "", nil, fmt.Errorf("the address %q has brackets round something other than an IPv6 address (without a zone)", s)
		case after == "":
			return host, nil, nil
		case after[0] != ':':
			return "", nil, fmt.Errorf("the address %q has no colon between its brackets and the port", s)
		}
		after = after[1:]
		return host, &after, nil
	}
	host, after, hasPort := strings.Cut(rest, ":")
	switch {
	case bareIPv6(rest):
		return "", nil, fmt.Errorf("the address %q has an IPv6 address without brackets: write [::1]:%d", s, DefaultPort)
	case strings.Contains(after, ":"):
		return "", nil, fmt.Errorf("the address %q has more than one port", s)
	case host == "":
		return "", nil, fmt.Errorf("the address %q names no host", s)
	case !validHost(host):
		return "", nil, fmt.Errorf("the address %q has a host that is neither a name (ASCII letters, digits, - and _ between dots) nor an IP address", s)
	case !hasPort:
		return host, nil, nil
	}
	return host, &after, nil
}

// bareIPv6 reports whether s is, or begins with, an IPv6 address that should stand in
// brackets.
func bareIPv6(s string) bool {
	isIPv6 := func(s string) bool {
		ip, err := netip.ParseAddr(s)
		return err == nil && ip.Is6()
	}
	return strings.Contains(s, "::") || isIPv6(s) || isIPv6(s[:max(0, strings.LastIndexByte(s, ':'))])
}

// validHost reports whether s is a host name or an IPv4 address. A name that ends in a
// number is neither unless it is an IPv4 address: resolvers differ in how they read 127.1
// and 010.0.0.1.
func validHost(s string) bool {
	if len(s) > 253 {
		return false
	}
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.ContainsFunc(l, notInName) {
			return false
		}
	}
	last := labels[len(labels)-1]
	if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(strings.ToLower(last), "0x") {
		ip, err := netip.ParseAddr(s)
		return err == nil && ip.Is4()
	}
	return true
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

func parsePort(s, port string) (uint16, error) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return 0, fmt.Errorf("the address %q has %q for a port, which is a number from 1 to 65535", s, port)
	}
	return uint16(n), nil
}

// String is the address as host:port.
func (a Address) String() string {
	return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port)))
}

// Loopback reports whether the address is certainly on this machine.
func (a Address) Loopback() bool {
	ip, err := netip.ParseAddr(a.Host)
	return strings.EqualFold(a.Host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}
