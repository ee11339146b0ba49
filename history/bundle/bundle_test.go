package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/history"
)

// story is a small bundle before it is one.
type story struct {
	manifest Manifest
	base     *history.Base
	log      []history.Event
	state    []history.Record
	history  *history.History
}

func name(key string) history.Name {
	return history.Name{Namespace: "default", Agent: "planner", Key: key}
}

// newStory: two commits make and change a key, a third deletes another.
func newStory() *story {
	s := &story{manifest: Manifest{
		Created: time.Unix(1767225600, 0).UTC(), Tool: Build{"0.1.0", "abc"}, Daemon: Build{"0.1.0", "def"},
		Store: Store{ID: "s1", FormatVersion: 1, Durable: true, PublishedTS: 9}, Namespace: "default", Agents: []string{"planner"}, From: 1, To: 9,
	}}
	op := func(key string, version uint64, value string) history.EventOp {
		return history.EventOp{Name: name(key), Version: version, Value: value, Delete: value == ""}
	}
	s.log = []history.Event{
		{CommitTS: 2, CommitTime: 20, TxnID: "t2", Metadata: map[string]string{"by": "me"}, Ops: []history.EventOp{op("goal", 1, `{"n":1}`), op("note", 1, `{}`)}},
		{CommitTS: 5, CommitTime: 50, TxnID: "t5", Ops: []history.EventOp{op("goal", 2, `{"n":2}`)}},
		{CommitTS: 9, CommitTime: 90, TxnID: "t9", Ops: []history.EventOp{op("note", 2, "")}},
	}
	s.state = []history.Record{{Name: name("goal"), Exists: true, Version: 2, CommitTS: 5, CommitTime: 50, Value: `{"n": 2}`}}
	return s
}

// cut makes the story begin behind its first commit.
func (s *story) cut() {
	s.manifest.From = 3
	s.base = &history.Base{CommitTS: 2, Records: []history.Record{
		{Name: name("goal"), Exists: true, Version: 1, CommitTS: 2, CommitTime: 20, Value: `{"n":1}`},
		{Name: name("note"), Exists: true, Version: 1, CommitTS: 2, CommitTime: 20, Value: `{}`},
	}}
	s.log = s.log[1:]
}

func (s *story) write(t testing.TB) []byte {
	t.Helper()
	w := NewWriter(t.TempDir())
	put := func(member string, h *history.History) {
		out, err := w.Member(member)
		if err == nil {
			err = h.Write(out)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	head := history.Header{Unit: "ns"}
	put(Log, &history.History{Header: history.Header{Unit: "ns", Base: s.base}, Log: s.log})
	head.Base = &history.Base{CommitTS: s.manifest.To, Records: s.state}
	put(State, &history.History{Header: head})
	if s.history != nil {
		put(History, s.history)
	}
	var b bytes.Buffer
	if err := w.Finish(&b, s.manifest); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(w.dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	return b.Bytes()
}

func open(text []byte) (*Bundle, error) { return Open(bytes.NewReader(text), int64(len(text)), 0) }

func (s *story) open(t testing.TB) *Bundle {
	t.Helper()
	b, err := open(s.write(t))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func someHistory() *history.History {
	return &history.History{Header: history.Header{Unit: "ns"}, Operations: []*history.Operation{
		{ID: 1, Client: "c", Kind: history.Get, Call: 1, Return: 2, Outcome: history.OK, In: history.Input{Namespace: "default", Agent: "planner", Key: "goal"}},
	}}
}

func TestReadsWhatWasWritten(t *testing.T) {
	s := newStory()
	s.history = someHistory()
	text := s.write(t)
	if !bytes.Equal(text, s.write(t)) {
		t.Error("equal content makes other bytes")
	}
	b, err := open(text)
	if err != nil {
		t.Fatal(err)
	}
	m := b.Manifest
	m.Format, m.Version, m.Members = "", 0, nil
	if !reflect.DeepEqual(m, s.manifest) || len(b.Manifest.Members) != 3 {
		t.Errorf("the manifest is %+v", b.Manifest)
	}
	for member, holds := range map[string]func(*history.History) bool{ // independent of each other: any order
		Log:     func(h *history.History) bool { return reflect.DeepEqual(h.Log, s.log) },
		State:   func(h *history.History) bool { return reflect.DeepEqual(h.Header.Base.Records, s.state) },
		History: func(h *history.History) bool { return reflect.DeepEqual(h.Operations, s.history.Operations) },
	} {
		in, err := b.Member(member)
		if err != nil {
			t.Fatal(err)
		}
		if h, err := history.ReadHistory(in); err != nil || !holds(h) {
			t.Errorf("%s: %v: %+v", member, err, h)
		}
	}
	if _, err := newStory().open(t).Member(History); err == nil {
		t.Error("a history that is not there is read")
	}
}

// contentOf is all that can be read of a bundle.
func contentOf(b *Bundle) (string, error) {
	var all strings.Builder
	for _, m := range b.Manifest.Members {
		in, err := b.Member(m.Name)
		if err == nil {
			_, err = io.Copy(&all, in)
		}
		if err != nil {
			return "", err
		}
	}
	return all.String(), nil
}

// TestEveryFlippedByte: damage is an error, or in a place that says nothing.
func TestEveryFlippedByte(t *testing.T) {
	text := newStory().write(t)
	sound := newStory().open(t)
	want, err := contentOf(sound)
	if err != nil {
		t.Fatal(err)
	}
	silent := 0
	for i := range text {
		for bit := range 8 {
			text[i] ^= 1 << bit
			if b, err := open(text); err == nil {
				silent++
				if got, err := contentOf(b); err != nil || got != want || !reflect.DeepEqual(b.Manifest, sound.Manifest) {
					t.Errorf("byte %d, bit %d: another content, %v", i, bit, err)
				}
			}
			text[i] ^= 1 << bit
		}
	}
	// Of the header of gzip: time, system, a hint at the effort. Of the compressed data: what
	// fills up bytes, and codes that are not used.
	if silent > 100 {
		t.Errorf("%d bits can be flipped without a word", silent)
	}
}

func TestEveryTruncation(t *testing.T) {
	text := newStory().write(t)
	for n := range text {
		if _, err := open(text[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are taken for a bundle", n, len(text))
		}
	}
	for _, more := range []string{"\x00", "x", string(text), string(pack(t, nil, 1)), string(pack(t, make([]byte, 512), 1))} {
		if _, err := open(append(bytes.Clone(text), more...)); err == nil {
			t.Errorf("%d bytes behind the end are passed over", len(more))
		}
	}
}

// file is one in a tar.
type file struct {
	h    tar.Header
	text string
}

// repack lets a test write what Writer would not.
func repack(t *testing.T, text []byte, change func([]file) []file) []byte {
	gz, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var files []file
	for in := tar.NewReader(gz); ; {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		text, rerr := io.ReadAll(in)
		if err != nil || rerr != nil {
			t.Fatal(err, rerr)
		}
		files = append(files, file{*h, string(text)})
	}
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	w := tar.NewWriter(zw)
	for _, f := range change(files) {
		if f.h.Typeflag == tar.TypeReg {
			f.h.Size = int64(len(f.text))
		}
		if err := w.WriteHeader(&f.h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestRefusesWithASentence(t *testing.T) {
	edit := func(i int, old, new string) func([]file) []file {
		return func(f []file) []file {
			if !strings.Contains(f[i].text, old) {
				t.Fatalf("there is no %q", old)
			}
			f[i].text = strings.Replace(f[i].text, old, new, 1)
			return f
		}
	}
	for says, change := range map[string]func([]file) []file{ // independent of each other: any order
		"of version 2, and only version 1":     edit(0, `"version": 1`, `"version": 2, "later": true`),
		"its format is \"statehouse-history\"": edit(0, Format, history.Format),
		"unknown field \"more\"":               edit(0, `"namespace"`, `"more": 1, "namespace"`),
		"after top-level value":                edit(0, "{", `{"format":"statehouse-bundle","version":1,"namespace":"","agents":["a"],"from":1,"to":1,"members":[]}{`),
		"cannot have -1 bytes": func(f []file) []file {
			f[0].text = regexp.MustCompile(`"size": \d+`).ReplaceAllString(f[0].text, `"size": -1`)
			return f
		},
		"there are no commits 0 to 9":             edit(0, `"from": 1`, `"from": 0`),
		"member 1 is \"../../log.jsonl\"":         edit(0, `"log.jsonl"`, `"../../log.jsonl"`),
		"is no SHA-256":                           edit(0, `"sha256": "`, `"sha256": "zz`),
		"names no agent":                          edit(0, `"planner"`, ``),
		"the hash of log.jsonl is not the one":    edit(1, `{\"n\":1}`, `{\"n\":3}`),
		"the hash of state.jsonl is not the one":  edit(2, `{\"n\": 2}`, `{\"n\":_2}`),
		"and the manifest says":                   edit(1, `{\"n\":1}`, `{\"n\":12}`),
		"state.jsonl is missing":                  func(f []file) []file { return f[:2] },
		"\"state.jsonl\" where log.jsonl":         func(f []file) []file { return []file{f[0], f[2], f[1]} },
		"\"log.jsonl\" where manifest.json":       func(f []file) []file { return []file{f[1], f[0], f[2]} },
		"there is \"log.jsonl\" in it, which":     func(f []file) []file { return append(f, f[1]) },
		"there is \"../../etc/passwd\" in it":     func(f []file) []file { x := f[1]; x.h.Name = "../../etc/passwd"; return append(f, x) },
		"there is \"/log.jsonl\" where log.jsonl": func(f []file) []file { f[1].h.Name = "/log.jsonl"; return f },
		"state.jsonl is not a plain file": func(f []file) []file {
			f[2] = file{h: tar.Header{Typeflag: tar.TypeSymlink, Name: State, Linkname: "/etc/passwd"}}
			return f
		},
		"log.jsonl is not a plain file": func(f []file) []file {
			f[1].h.Format, f[1].h.PAXRecords = tar.FormatPAX, map[string]string{"GNU.x": "y"}
			return f
		},
		"its manifest has 1048577 bytes":    func(f []file) []file { f[0].text += strings.Repeat(" ", 1<<20+1-len(f[0].text)); return f },
		"cannot be read: invalid character": func(f []file) []file { f[0].text = "no JSON"; return f },
		"more comes out of it than": func(f []file) []file {
			f[1].h.Format, f[1].h.PAXRecords = tar.FormatPAX, map[string]string{"comment": strings.Repeat("x", 1<<19)}
			return f
		},
		"this is no bundle: the file is cut off": func([]file) []file { return nil },
		"there is \"x\" where manifest.json":     func([]file) []file { return []file{{h: tar.Header{Typeflag: tar.TypeReg, Name: "x"}}} },
	} {
		_, err := open(repack(t, newStory().write(t), change))
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q, got: %v", says, err)
		}
	}
	if _, err := open([]byte("no gzip at all")); err == nil || !strings.Contains(err.Error(), "this is no bundle") {
		t.Error(err)
	}
	if _, err := open(nil); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Error(err)
	}
}

// A small file that unpacks to much is refused before it is unpacked, by what it says of
// itself, and stopped if that is not true.
func TestBombs(t *testing.T) {
	s := newStory()
	s.log[0].Ops[0].Value = `"` + strings.Repeat("a", 8<<20) + `"`
	text := s.write(t)
	if len(text) > 64<<10 {
		t.Fatalf("no bomb: %d bytes", len(text))
	}
	if _, err := Open(bytes.NewReader(text), int64(len(text)), 1<<20); err == nil || !strings.Contains(err.Error(), "more than the limit of 1048576") {
		t.Error(err)
	}
	if _, err := Open(bytes.NewReader(text), int64(len(text)), 16<<20); err != nil {
		t.Error(err)
	}
	gz, err := gzip.NewReader(bytes.NewReader(newStory().write(t)))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(gz)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(pack(t, append(plain, make([]byte, 1<<20)...), 9)); err == nil || !strings.Contains(err.Error(), "more comes out of it") {
		t.Error(err)
	}
}

// FuzzOpen wants no panic, an end, and nothing that is read differently twice. It packs
// what it tries, which would seldom have the checksum of gzip otherwise.
func FuzzOpen(f *testing.F) {
	seed := func(s *story) {
		gz, err := gzip.NewReader(bytes.NewReader(s.write(f)))
		if err != nil {
			f.Fatal(err)
		}
		text, err := io.ReadAll(gz)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.TrimRight(text, "\x00"))
	}
	s := newStory()
	seed(s)
	s.history = someHistory()
	seed(s)
	s = newStory()
	s.cut()
	seed(s)
	f.Fuzz(func(t *testing.T, text []byte) {
		if pad := len(text) % 512; pad > 0 {
			text = append(bytes.Clone(text), make([]byte, 512-pad)...)
		}
		text = pack(t, append(text, make([]byte, 1024)...), gzip.NoCompression)
		b, err := Open(bytes.NewReader(text), int64(len(text)), 1<<20)
		if err != nil {
			return
		}
		if _, err := contentOf(b); err != nil {
			t.Errorf("it was whole, and then: %v", err)
		}
		if _, err := b.Verify(); err != nil {
			return // its lines are no history
		}
		if d, _, err := Diff(b, b, false); d != nil || err != nil {
			t.Errorf("it is not the same as itself: %+v, %v", d, err)
		}
	})
}

func pack(t *testing.T, text []byte, level int) []byte {
	var b bytes.Buffer
	zw, err := gzip.NewWriterLevel(&b, level)
	if err == nil {
		_, err = zw.Write(text)
	}
	if err == nil {
		err = zw.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
