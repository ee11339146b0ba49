package words

import (
	"strconv"
)

// CommitTS is a place in the total order of commits (G3): logical, dense, from 1. Zero
// is before the first commit.
type CommitTS uint64

// Version counts the writes and deletes of one key: 1, 2, 3…
type Version uint64

// TxnID names a transaction. Begin makes UUIDs (version 7); clients of Transact
// choose their own.
type TxnID string

func (ts CommitTS) String() string { return strconv.FormatUint(uint64(ts), 10) }

func (v Version) String() string { return strconv.FormatUint(uint64(v), 10) }

// DefaultNamespace is what an empty namespace means.
const DefaultNamespace = "default"

// AgentName names an agent.
type AgentName struct{ Namespace, Agent string }

// RecordName names a record. Names compare as bytes.
type RecordName struct{ Namespace, Agent, Key string }

// AgentName is the agent the record belongs to.
func (n RecordName) AgentName() AgentName { return AgentName{n.Namespace, n.Agent} }
