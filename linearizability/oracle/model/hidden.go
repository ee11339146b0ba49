package model

import (
	"strings"

	"statehouse.dev/statehouse/history"
)

// Leases and due records are kept under names that no user's key can be: those have no control
// characters.
const (
	leaseMark = "\x01lease\x01"
	dueMark   = "\x01due\x01"
)

// LeaseName is the name under which the model keeps a lease. Its versions are tokens. The lease of a claim is
// what the record is due as.
func LeaseName(ns, agent, lease string) history.Name {
	if key, claim := strings.CutPrefix(lease, "due:"); claim {
		return DueName(history.Name{Namespace: ns, Agent: agent, Key: key})
	}
	return history.Name{Namespace: ns, Agent: agent, Key: leaseMark + lease}
}

// DueName is the name under which the model keeps that a record is due.
func DueName(n history.Name) history.Name {
	n.Key = dueMark + n.Key
	return n
}

// IsDue reports whether a name is one under which the model keeps that a record is due.
func IsDue(n history.Name) bool { return strings.HasPrefix(n.Key, dueMark) }

// Hidden reports whether a name is one of those.
func Hidden(n history.Name) bool { return strings.HasPrefix(n.Key, "\x01") }

// AsLease is the lease that a name is of; not ok: it is of none.
func AsLease(n history.Name) (lease string, ok bool) { return strings.CutPrefix(n.Key, leaseMark) }

// Plain is an operation under the name that the model has for it.
func Plain(o history.EventOp) history.EventOp {
	switch {
	case o.Lease != nil:
		o.Key = leaseMark + o.Key
	case o.Due:
		o.Name = DueName(o.Name)
	}
	return o
}

// Key is the name that a condition is on.
func Key(k *history.KeyCondition) history.Name {
	if k.Lease != "" {
		return LeaseName(k.Namespace, k.Agent, k.Lease)
	}
	return k.Name
}
