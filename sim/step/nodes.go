package step

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This file is the notation of worlds of several nodes. What happens to one names it after the verb, what
// happens between two names both, and a client says whom it asks:
//
//	crash n1 mode=torn     deliver n1>n2     c1@n2 get alice/plan
//
// A world of one node has no names.

// nodeName is a node, and linkName what one sends another.
var (
	nodeName = regexp.MustCompile(`^n[1-9]$`)
	linkName = regexp.MustCompile(`^n[1-9]>n[1-9]$`)
)

// ofNodes are the verbs that may name a node, with how many words may follow.
var ofNodes = map[Verb]int{
	Plan: 0, Tick: 1, Flush: 0, Compact: 0, Start: 0, Drain: 0, Stop: 0, Kill: 0, Crash: 2, Fault: 9, Heal: 0, Capacity: 1, Room: 1,
	Campaign: 0, Synced: 1, Skew: 1, Pause: 0, Resume: 0, Wipe: 0, Transfer: 0, Cut: 0,
	Add: 0, Promote: 0, Remove: 0, Fetch: 0, Revoke: 1,
}

// onlyNodes are the verbs that must name one.
var onlyNodes = []Verb{Campaign, Synced, Skew, Pause, Resume, Wipe, Transfer, Cut, Hand, Add, Promote, Fetch}

// ofLinks are the verbs that may name a link; of a change of members it is who is asked for it, and about whom.
var ofLinks = []Verb{Deliver, Drop, Dup, Cut, Heal, Hand, Add, Promote, Remove}

// where is what a step names after its verb.
func (s *Step) where() string {
	switch {
	case s.Peer != "":
		return " " + s.Node + ">" + s.Peer
	case s.Node != "":
		return " " + s.Node
	}
	return ""
}

// takeNode reads what a step names, and returns the words after it.
func (s *Step) takeNode(words []string) ([]string, error) {
	if len(words) > 0 && linkName.MatchString(words[0]) && slices.Contains(ofLinks, s.Verb) {
		if s.Node, s.Peer, _ = strings.Cut(words[0], ">"); s.Node == s.Peer {
			return nil, fmt.Errorf("%s sends itself nothing", s.Node)
		}
		return words[1:], nil
	}
	if most, may := ofNodes[s.Verb]; may && len(words) > 0 && nodeName.MatchString(words[0]) && len(words) <= most+1 {
		s.Node = words[0]
		return words[1:], nil
	}
	if slices.Contains(onlyNodes, s.Verb) {
		return nil, fmt.Errorf("want a node, such as n1, or a link, such as n1>n2")
	}
	return words, nil
}

// parseNodes reads what a step names. done: it is one that only worlds of several nodes have, and all of it is read.
func (s *Step) parseNodes(words []string) (rest []string, done bool, err error) {
	if rest, err = s.takeNode(words); err != nil {
		return nil, false, err
	}
	if s.Peer != "" || s.Node != "" && (s.Verb == Tick || s.Verb == Remove) || slices.Contains(onlyNodes, s.Verb) {
		return nil, true, s.nodeStep(rest)
	}
	return rest, false, nil
}

// nodeStep reads what follows the node in a step that only worlds of several have.
func (s *Step) nodeStep(rest []string) (err error) {
	switch {
	case s.Verb == Skew && len(rest) == 1:
		s.Duration, err = time.ParseDuration(rest[0])
		return err
	case s.Verb == Skew:
		return fmt.Errorf("want by how much its clock is set, such as +5s")
	case (s.Verb == Tick || s.Verb == Synced) && len(rest) == 1:
		return s.setCount(rest[0])
	case s.Peer != "" && len(rest) == 1 && (s.Verb == Deliver || s.Verb == Drop || s.Verb == Dup):
		nth, ok := strings.CutPrefix(rest[0], "nth=")
		if !ok {
			return fmt.Errorf("%q is not nth=2", rest[0])
		}
		return s.setCount(nth)
	case len(rest) > 0:
		return fmt.Errorf("%q is too much", rest[0])
	}
	return nil
}

func (s *Step) setCount(word string) (err error) {
	if s.Nth, err = strconv.Atoi(word); err == nil && s.Nth < 1 {
		err = fmt.Errorf("%d is no number from 1", s.Nth)
	}
	return err
}

// nodeString prints a step that only worlds of several have, or one of a link.
func (s *Step) nodeString() string {
	text := string(s.Verb) + s.where()
	switch {
	case s.Verb == Skew && s.Duration >= 0:
		text += " +" + s.Duration.String()
	case s.Verb == Skew:
		text += " " + s.Duration.String()
	case s.Verb == Tick && s.Nth > 1, s.Verb == Synced && s.Nth > 0:
		text += " " + strconv.Itoa(s.Nth)
	case s.Peer != "" && s.Nth > 1:
		text += fmt.Sprintf(" nth=%d", s.Nth)
	}
	return text
}
