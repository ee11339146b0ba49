// Package step is the notation of simulated runs: a step as a value, its line of text, and
// the text of what a client was told. It does nothing; package sim carries steps out.
//
// A step is printed by String and read by Parse, and reading what was printed gives the same
// step. A call is a line of its own kind, with the client in front:
//
//	c1 #7 transact t3 put alice/plan {"n":1} expect=0 if alice/lock@2 & => ts=1
//
// scenarios/README.md is the grammar of all of it. Parse refuses what could never happen: a
// fault that no store would meet (possible.go), an answer that no call of that kind is given
// (expect.go). A scenario with one of these would pass for ever and show nothing.
package step

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim/simdisk"
)

// Epoch is when every world begins. Times in steps are counted from it.
var Epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Verb says what a step does.
type Verb string

// The verbs. scenarios/README.md is their grammar.
const (
	Call    Verb = "call"    // a client sends a request
	Deliver Verb = "deliver" // a request reaches the daemon
	Drop    Verb = "drop"    // a request is lost, and its client learns that the connection is
	Dup     Verb = "dup"     // a request is under way twice
	Again   Verb = "again"   // the duplicate reaches the daemon
	Reply   Verb = "reply"   // an answer, or the next message of a stream, reaches its client
	Lose    Verb = "lose"    // an answer is lost, or a stream cut
	Timeout Verb = "timeout" // a client gives up waiting; what it sent goes on
	Expire  Verb = "expire"  // a request's deadline passes at the daemon before it does at its client
	Forge   Verb = "forge"   // a reply is forged in the daemon's name: for canaries

	Plan    Verb = "plan"    // the writer takes what waits and writes it
	Settle  Verb = "settle"  // the writer syncs, publishes and answers
	Tick    Verb = "tick"    // transactions expire, free space is looked at
	Flush   Verb = "flush"   // what is in memory goes to tables
	Compact Verb = "compact" // tables are merged

	Start Verb = "start" // the daemon
	Drain Verb = "drain" // the daemon is asked to stop, and ends when nothing is under way
	Stop  Verb = "stop"  // likewise, with nothing else happening meanwhile
	Kill  Verb = "kill"  // the daemon, as kill -9 does: what it wrote stays with the system
	Crash Verb = "crash" // the machine loses power

	Revoke Verb = "revoke" // an operator ends a key
	Import Verb = "import" // an operator brings commits from elsewhere

	// Of nodes that keep one store. Deliver, Drop, Dup and Heal may be about what one sends another.
	Campaign Verb = "campaign" // its time without a leader is over, and it stands for election
	Synced   Verb = "synced"   // what it gave its disk to store is stored
	Transfer Verb = "transfer" // whoever leads makes it the leader
	Hand     Verb = "hand"     // a request that one node has handed on to the other arrives there, or its answer
	Flow     Verb = "flow"     // what is under way between nodes arrives, and so what comes of it
	Cut      Verb = "cut"      // nothing arrives any more; of a node: nothing of and to it
	Skew     Verb = "skew"     // its wall clock is set
	Pause    Verb = "pause"    // its process stands still
	Resume   Verb = "resume"   // and goes on
	Wipe     Verb = "wipe"     // its disk is empty, and it has been a member
	Add      Verb = "add"      // a new node joins, without a vote; Remove, of a node: it is a member no more
	Promote  Verb = "promote"  // it has a vote from now on
	Fetch    Verb = "fetch"    // a node that is too far behind does the next thing towards a copy of another's store

	Advance Verb = "advance" // time passes
	Jump    Verb = "jump"    // the wall clock is set

	Fault    Verb = "fault"    // arms a fault of the disk
	Heal     Verb = "heal"     // disarms all
	Capacity Verb = "capacity" // sets the size of the disk; 0: it has no limit
	Room     Verb = "room"     // leaves so many bytes free on the disk
	Rot      Verb = "rot"      // a bit of a file flips, at rest
	Truncate Verb = "truncate" // the end of a file is gone
	Remove   Verb = "remove"   // a file is gone
	Tamper   Verb = "tamper"   // rows are rewritten under valid checksums of their blocks
)

// Step is one thing that happens in a world: a value that can be printed, parsed
// and done again.
type Step struct {
	Verb Verb

	// Of a call. ID names it for later steps. Wait: it is carried through to its
	// end at once, which is what a person who writes a scenario mostly wants.
	Client string
	// Session that the call goes in; empty: it is a call of its own.
	Session string
	ID      int
	Kind    history.Kind
	In      history.Input
	Wait    bool
	Expect  string // what the client must have been told by the end; empty: anything

	// Of a raw call: a method and its request, see raw.go, in place of In.
	Method, Message string
	Token           string // of a call: wrong, none or of a key, in place of the daemon's; of a revoke: of which

	Node string // that it is about, or a call goes to; empty: there is only one
	Peer string // of a link: the node at its end

	Of       int                  // the call that a step of the network is about; 0: Client's last
	Duration time.Duration        // of an advance or jump
	Crash    simdisk.CrashOptions // of a crash, or a crash fault
	Fault    simdisk.Fault
	Maybe    bool    // of a fault: it need not strike
	Bytes    int64   // of a capacity or room
	File     string  // class of the file that is corrupted, or kind of the row
	How      string  // of a tamper: what becomes of the row
	Nth      int     // among those of its class, by name, from 1; of a link's messages; how many ticks
	Where    float64 // in the file, 0 to 1
	Bit      int     // 0 to 7
}

// String prints the step in the form that ParseStep reads.
func (s Step) String() string {
	if s.Peer != "" {
		return s.nodeString()
	}
	switch s.Verb {
	case Call:
		return s.callString()
	case Campaign, Synced, Transfer, Cut, Skew, Pause, Resume, Wipe, Add, Promote, Fetch, Tick:
		return s.nodeString()
	case Deliver, Drop, Dup, Again, Reply, Lose, Timeout, Expire, Forge:
		return string(s.Verb) + " " + s.target()
	case Crash:
		return "crash" + s.where() + crashString(s.Crash)
	case Revoke:
		return string(s.Verb) + s.where() + " " + s.Token
	case Import:
		return fmt.Sprintf("%s %d", s.Verb, s.Nth)
	case Advance, Jump:
		return string(s.Verb) + " " + s.Duration.String()
	case Fault:
		text := "fault" + s.where() + " " + s.Fault.String()
		if s.Fault.Kind == simdisk.PowerCut {
			text += crashString(s.Crash)
		}
		if s.Maybe {
			text += " " + Maybe
		}
		return text
	case Capacity, Room:
		return fmt.Sprintf("%s%s %d", s.Verb, s.where(), s.Bytes)
	case Rot:
		return fmt.Sprintf("rot %s nth=%d where=%s bit=%d", s.File, s.Nth, fraction(s.Where), s.Bit)
	case Truncate:
		return fmt.Sprintf("truncate %s nth=%d where=%s", s.File, s.Nth, fraction(s.Where))
	case Remove:
		if s.Node != "" {
			return s.nodeString()
		}
		return fmt.Sprintf("remove %s nth=%d", s.File, s.Nth)
	case Tamper:
		return s.tamperString()
	}
	return string(s.Verb) + s.where()
}

func fraction(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

func (s Step) target() string {
	if s.Of != 0 {
		return fmt.Sprintf("#%d", s.Of)
	}
	return s.Client
}

func crashString(o simdisk.CrashOptions) string {
	text := ""
	if o.Mode != "" {
		text = " mode=" + string(o.Mode)
	}
	if o.Seed != 0 {
		text += fmt.Sprintf(" seed=%d", o.Seed)
	}
	return text
}

// Parse reads a step. Calls without an id get one from whoever collects them.
func Parse(text string) (Step, error) {
	s, err := parseStep(text)
	if err != nil {
		return Step{}, fmt.Errorf("step %q: %w", text, err)
	}
	return s, nil
}

func parseStep(text string) (s Step, err error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return s, fmt.Errorf("it is empty")
	}
	s.Verb = Verb(words[0])
	rest, done, err := s.parseNodes(words[1:])
	if done || err != nil {
		return s, err
	}
	switch s.Verb {
	case Deliver, Drop, Dup, Again, Reply, Lose, Timeout, Expire, Forge:
		if len(rest) != 1 {
			return s, fmt.Errorf("want one client or #call")
		}
		return s, s.setTarget(rest[0])
	case Plan, Settle, Tick, Flush, Compact, Start, Drain, Stop, Kill, Heal, Flow:
		if len(rest) > 0 {
			return s, fmt.Errorf("%q is too much", rest[0])
		}
		return s, nil
	case Revoke:
		if len(rest) != 1 || !clientName.MatchString(rest[0]) {
			return s, fmt.Errorf("want the name of a key")
		}
		s.Token = rest[0]
		return s, nil
	case Import:
		if len(rest) != 1 {
			return s, fmt.Errorf("want how many commits")
		}
		s.Nth, err = strconv.Atoi(rest[0])
		return s, err
	case Crash:
		return s, s.setOptions(rest)
	case Advance, Jump:
		if len(rest) != 1 {
			return s, fmt.Errorf("want one duration, such as 50ms")
		}
		s.Duration, err = time.ParseDuration(rest[0])
		if err == nil && s.Verb == Advance && s.Duration < 0 {
			err = fmt.Errorf("time does not run backwards; clocks do: jump %s", s.Duration)
		}
		return s, err
	case Fault:
		return s, s.setFault(rest)
	case Capacity, Room:
		if len(rest) != 1 {
			return s, fmt.Errorf("want a number of bytes")
		}
		s.Bytes, err = strconv.ParseInt(rest[0], 10, 64)
		return s, err
	case Rot, Truncate, Remove:
		if len(rest) == 0 {
			return s, fmt.Errorf("want a class of files")
		}
		if s.File, s.Nth = rest[0], 1; s.Verb != Remove {
			s.Where = 0.5
		}
		if err := s.setOptions(rest[1:]); err != nil {
			return s, err
		}
		return s, s.checkCorruption()
	case Tamper:
		return s, s.parseTamper(rest)
	}
	return parseCall(words)
}

func (s *Step) setTarget(word string) (err error) {
	if id, ok := strings.CutPrefix(word, "#"); ok {
		s.Of, err = strconv.Atoi(id)
		return err
	}
	s.Client = word
	return nil
}

// Maybe, at the end of a fault, says that the scenario passes without it, too.
const Maybe = "maybe"

// setFault reads a fault in the disk's notation; a crash may say, besides, what
// it leaves.
func (s *Step) setFault(words []string) (err error) {
	var fault, crash []string
	if n := len(words); n > 0 && words[n-1] == Maybe {
		s.Maybe, words = true, words[:n-1]
	}
	for _, word := range words {
		if strings.HasPrefix(word, "mode=") || strings.HasPrefix(word, "seed=") {
			crash = append(crash, word)
		} else {
			fault = append(fault, word)
		}
	}
	if s.Fault, err = simdisk.ParseFault(strings.Join(fault, " ")); err != nil {
		return err
	}
	if len(crash) > 0 && s.Fault.Kind != simdisk.PowerCut {
		return fmt.Errorf("%s is for crash", crash[0])
	}
	if err := checkFault(s.Fault); err != nil {
		return err
	}
	return s.setOptions(crash)
}

func (s *Step) setOptions(words []string) error {
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			return fmt.Errorf("%q is not key=value", word)
		}
		var err error
		switch {
		case key == "mode" && (s.Verb == Crash || s.Verb == Fault):
			s.Crash.Mode = simdisk.CrashMode(value)
			err = checkMode(s.Crash.Mode)
		case key == "seed" && (s.Verb == Crash || s.Verb == Fault):
			s.Crash.Seed, err = strconv.ParseUint(value, 10, 64)
		case key == "nth" && s.corrupts():
			s.Nth, err = strconv.Atoi(value)
		case key == "where" && s.corrupts():
			s.Where, err = strconv.ParseFloat(value, 64)
		case key == "bit" && (s.Verb == Rot || s.Verb == Tamper):
			s.Bit, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("unknown %q", key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkCorruption reports why no file could be corrupted so.
func (s *Step) checkCorruption() error {
	if !slices.Contains(simdisk.Classes(), simdisk.Class(s.File)) || simdisk.Class(s.File) == simdisk.ClassDir {
		return fmt.Errorf("%q is no class of files that can be corrupted, want one of %v", s.File, simdisk.Classes())
	}
	return s.checkPlace()
}

func (s *Step) checkPlace() error {
	switch {
	case s.Nth < 1:
		return fmt.Errorf("nth=%d, counted from 1", s.Nth)
	case !(s.Where >= 0 && s.Where <= 1):
		return fmt.Errorf("where=%s, want a place from 0 to 1", fraction(s.Where))
	case s.Bit < 0 || s.Bit > 7:
		return fmt.Errorf("bit=%d, want 0 to 7", s.Bit)
	}
	return nil
}

func (s *Step) corrupts() bool {
	return s.Verb == Rot || s.Verb == Truncate || s.Verb == Remove || s.Verb == Tamper
}

func checkMode(m simdisk.CrashMode) error {
	for _, known := range simdisk.CrashModes() {
		if m == known {
			return nil
		}
	}
	return fmt.Errorf("unknown crash mode %q, want one of %v", m, simdisk.CrashModes())
}

// UnmarshalYAML reads a step in its notation.
func (s *Step) UnmarshalYAML(n *yaml.Node) error {
	var text string
	if err := n.Decode(&text); err != nil {
		return err
	}
	parsed, err := Parse(text)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	*s = parsed
	return nil
}

// MarshalYAML writes a step in its notation.
func (s Step) MarshalYAML() (any, error) { return s.String(), nil }
