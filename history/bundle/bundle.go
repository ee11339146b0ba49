// Package bundle keeps what is needed to look at an agent's past without its daemon in
// one file: its slice of the log, its state at the end, what clients asked and were told
// if that was captured, and where it all comes from. docs/BUNDLE.md has the format.
//
// [Writer] makes one, from streams of any length. [Open] reads one that anyone may
// have made: nothing of it is used before all of it has been seen to be what its
// manifest says, and nothing is ever unpacked to a path.
package bundle

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Format and Version are of the file.
const (
	Format  = "statehouse-bundle"
	Version = 1
)

// The members, in their order. The first is for the reader itself.
const (
	manifestName = "manifest.json"
	Log          = "log.jsonl"     // a history: the state it begins with, and events
	State        = "state.jsonl"   // a history: the state at the end, as its base
	History      = "history.jsonl" // a history: operations; it may be absent
)

// Manifest tells what is in a bundle and where it comes from.
type Manifest struct {
	Format  string    `json:"format"`
	Version int       `json:"version"`
	Created time.Time `json:"created"`
	Tool    Build     `json:"tool"`   // that made it
	Daemon  Build     `json:"daemon"` // that it was made from
	Store   Store     `json:"store"`
	// What is in it: operations on the agents of the namespace, in commits From to To.
	Namespace string     `json:"namespace"`
	Agents    []string   `json:"agents"`
	From      uint64     `json:"from"`
	To        uint64     `json:"to"`
	Redaction *Redaction `json:"redaction,omitempty"`
	Members   []Member   `json:"members"`
}

// Build names a build.
type Build struct {
	Version string `json:"version"`
	GitSHA  string `json:"git_sha"`
}

// Store is what the daemon told of its store when the bundle was made.
type Store struct {
	ID            string `json:"id"`
	FormatVersion uint32 `json:"format_version"`
	Durable       bool   `json:"durable"`
	PublishedTS   uint64 `json:"published_ts"`
	DiskUsed      uint64 `json:"disk_used_bytes"`
	DiskFree      uint64 `json:"disk_free_bytes"`
	WritesRefused string `json:"writes_refused,omitempty"`
}

// Redaction says what stands in the place of values and names, and whether those of two
// bundles can be compared.
type Redaction struct {
	Values  bool   `json:"values,omitempty"`
	Names   bool   `json:"names,omitempty"`
	KeyID   string `json:"key_id"`             // equal if the same key made the digests
	NameSet string `json:"name_set,omitempty"` // equal if pseudonyms are of the same names
}

// Member is one of the files in it.
type Member struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Has reports whether there is such a member.
func (m *Manifest) Has(name string) bool {
	return slices.ContainsFunc(m.Members, func(x Member) bool { return x.Name == name })
}

// bytes of all members together.
func (m *Manifest) bytes() (n int64) {
	for _, x := range m.Members {
		n += x.Size
	}
	return n
}

// check refuses what cannot be right, whoever wrote it.
func (m *Manifest) check() error {
	names := []string{Log, State, History}
	if n := len(m.Members); n < 2 || n > 3 {
		return fmt.Errorf("the manifest names %d members, not two or three", n)
	}
	for i, x := range m.Members {
		sum, err := hex.DecodeString(x.SHA256)
		switch {
		case x.Name != names[i]:
			return fmt.Errorf("member %d is %q, and must be %s", i+1, x.Name, names[i])
		case err != nil || len(sum) != 32:
			return fmt.Errorf("the hash of %s is no SHA-256", x.Name)
		case x.Size < 0 || x.Size > 1<<50:
			return fmt.Errorf("%s cannot have %d bytes", x.Name, x.Size)
		}
	}
	switch {
	case m.From < 1 || m.To < m.From:
		return fmt.Errorf("there are no commits %d to %d", m.From, m.To)
	case len(m.Agents) == 0:
		return errors.New("the manifest names no agent")
	case !slices.IsSorted(m.Agents) || len(slices.Compact(slices.Clone(m.Agents))) < len(m.Agents):
		return errors.New("the agents are not in order, or one is there twice")
	}
	return nil
}

// parse is strict, but looks at the version first: another one may have other fields.
func (m *Manifest) parse(text []byte) error {
	var h struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return fmt.Errorf("its manifest cannot be read: %w", err)
	}
	if h.Format != Format {
		return fmt.Errorf("this is no bundle: its format is %q, not %q", h.Format, Format)
	}
	if h.Version != Version {
		return fmt.Errorf("this bundle is of version %d, and only version %d can be read here", h.Version, Version)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return fmt.Errorf("its manifest cannot be read: %w", err)
	}
	return m.check()
}
