package words

import (
	"strings"
	"unicode/utf8"
)

// Sizes of names in bytes, fixed by the model.
const (
	MaxNamespaceBytes = 128
	MaxAgentBytes     = 256
	MaxKeyBytes       = 1024
	MaxLeaseBytes     = MaxKeyBytes
	MaxTxnIDBytes     = 128
	MaxPrincipalBytes = 256
	MaxTraceIDBytes   = 64
)

// CheckName refuses what cannot be a name: empty, too long, not UTF-8, or with
// control characters (U+0000 would end it early in a key, see rows.Key).
func CheckName(field, s string, maxBytes int) error {
	switch {
	case s == "":
		return Failf(ErrInvalid, "%s is empty", field).With("field", field)
	case len(s) > maxBytes:
		return Failf(ErrInvalid, "%s is %d bytes long, more than %d", field, len(s), maxBytes).With("field", field)
	}
	return CheckText(field, s)
}

// CheckText refuses what is not UTF-8, or has control characters.
func CheckText(field, s string) error {
	if !utf8.ValidString(s) {
		return Failf(ErrInvalid, "%s is not valid UTF-8", field).With("field", field)
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return r < 0x20 }); i >= 0 {
		return Failf(ErrInvalid, "%s has the control character U+%04X at byte %d", field, s[i], i).With("field", field)
	}
	return nil
}

// CheckNamespace checks the name of a namespace. Error: ErrInvalid.
func CheckNamespace(name string) error { return CheckName("namespace", name, MaxNamespaceBytes) }

// Normalize fills in the default namespace, and checks both names.
func (n *AgentName) Normalize() error {
	if n.Namespace == "" {
		n.Namespace = DefaultNamespace
	}
	if err := CheckName("namespace", n.Namespace, MaxNamespaceBytes); err != nil {
		return err
	}
	return CheckName("agent_id", n.Agent, MaxAgentBytes)
}

// Normalize fills in the default namespace, and checks the three names.
func (n *RecordName) Normalize() error {
	agent := n.AgentName()
	if err := agent.Normalize(); err != nil {
		return err
	}
	n.Namespace = agent.Namespace
	return CheckName("key", n.Key, MaxKeyBytes)
}

// CheckTxnID accepts 1 to 128 printable ASCII characters without space.
func CheckTxnID(id TxnID) error {
	if len(id) == 0 || len(id) > MaxTxnIDBytes {
		return Failf(ErrInvalid, "txn_id must be 1 to %d bytes long, not %d", MaxTxnIDBytes, len(id)).With("field", "txn_id")
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return Failf(ErrInvalid, "txn_id has byte 0x%02x at %d; only printable ASCII without space is allowed", id[i], i).With("field", "txn_id")
		}
	}
	return nil
}

// CheckSource checks what the server says of who commits, and why.
func CheckSource(what, text string, longest int) error {
	if len(text) > longest || !utf8.ValidString(text) {
		return Failf(ErrInvalid, "the %s is longer than %d bytes, or is not valid UTF-8", what, longest)
	}
	return nil
}
