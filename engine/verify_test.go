package engine_test

import (
	"bytes"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// goodStore is a small one with a clean end, all of it durable.
func goodStore(t *testing.T) (*simdisk.Disk, *script) {
	t.Helper()
	d, s := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &script{}
	p := openOn(t, d, &rigClock{})
	ok(t, s.commits(p, 3))
	ok(t, p.Close())
	return d, s
}

// TestVerifyGood: the report of a store that is right says what is in it, and
// verifying changes nothing.
func TestVerifyGood(t *testing.T) {
	d, s := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &script{}
	p := newProcess(d, &rigClock{}, nil)
	ok(t, s.script(p))
	ok(t, p.Close())
	before := contents(t, d)
	var told []engine.CommitTS
	r, err := engine.Verify(p.env, rigDir, func(done, _ engine.CommitTS) { told = append(told, done) })
	ok(t, err)
	m := s.model(len(s.attempts))
	ops, names := 0, make(map[engine.AgentName]bool)
	for n, versions := range m.records { // counting: order does not matter
		ops += len(versions)
		names[n.AgentName()] = true
	}
	n := uint64(len(s.attempts))
	want := engine.Report{
		StoreID: p.Status().StoreID, Format: engine.FormatVersion, Commits: engine.CommitTS(n), Operations: uint64(ops), Records: uint64(ops),
		Agents: uint64(len(names)), Namespaces: 3, Outcomes: n, Witnessed: engine.CommitTS(n), ChainHash: r.ChainHash, Epoch: r.Epoch,
	}
	if r != want || len(r.ChainHash) != 64 {
		t.Errorf("verify reports %+v, want %+v", r, want)
	}
	if len(told) != 0 {
		t.Errorf("progress was told of %d commits: %v", n, told)
	}
	sameContents(t, "verify", d, before)
}

func contents(t *testing.T, d *simdisk.Disk) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	for _, f := range d.Files() {
		b, err := d.ReadFile(f.Path)
		ok(t, err)
		all[f.Path] = b
	}
	return all
}

func sameContents(t *testing.T, what string, d *simdisk.Disk, want map[string][]byte) {
	t.Helper()
	got := contents(t, d)
	for path, b := range want { // each is looked at; order does not matter
		if !bytes.Equal(got[path], b) {
			t.Errorf("%s: %s was changed", what, path)
		}
		delete(got, path)
	}
	for path := range got { // likewise
		t.Errorf("%s: %s was made", what, path)
	}
}

// A place is a disk as somebody wants to open or verify a store on it.
type place struct {
	name    string
	prepare func(t *testing.T) *simdisk.Disk
	kind    error
	says    string // in the message
}

func onGood(change func(t *testing.T, d *simdisk.Disk)) func(t *testing.T) *simdisk.Disk {
	return func(t *testing.T) *simdisk.Disk {
		d, _ := goodStore(t)
		change(t, d)
		return d
	}
}

func emptyDir(t *testing.T) *simdisk.Disk {
	t.Helper()
	d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
	ok(t, d.MkdirAll(rigDir, 0o700))
	return d
}

// identityOf writes an identity file with a checksum that is right.
func identityOf(t *testing.T, d *simdisk.Disk, text string) {
	t.Helper()
	sum := crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli))
	ok(t, writeFile(d, rigDir+"/STATEHOUSE", []byte(text+"checksum "+hex8(sum)+"\n")))
}

func hex8(v uint32) string {
	const digits = "0123456789abcdef"
	b := make([]byte, 8)
	for i := range b {
		b[i] = digits[v>>(28-4*i)&15]
	}
	return string(b)
}

const (
	futureStore  = "Statehouse data directory\nformat 3\nstore x\n"
	olderStore   = "Statehouse data directory\nformat 1\nstore x\n"
	ancientStore = "Statehouse data directory\nformat 0\nstore x\n"
)

var (
	aFile = func(t *testing.T) *simdisk.Disk {
		d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
		ok(t, d.MkdirAll("/srv/agents", 0o700))
		ok(t, writeFile(d, rigDir, []byte("text")))
		return d
	}
	noIdentity = onGood(func(t *testing.T, d *simdisk.Disk) { ok(t, d.RemoveFile(rigDir+"/STATEHOUSE")) })
	future     = onGood(func(t *testing.T, d *simdisk.Disk) { identityOf(t, d, futureStore) })
	older      = onGood(func(t *testing.T, d *simdisk.Disk) { identityOf(t, d, olderStore) })
	ancient    = onGood(func(t *testing.T, d *simdisk.Disk) { identityOf(t, d, ancientStore) })
	rotten     = onGood(func(t *testing.T, d *simdisk.Disk) { ok(t, d.FlipBit(rigDir+"/STATEHOUSE", 50, 0)) })
	notOurs    = onGood(func(t *testing.T, d *simdisk.Disk) { ok(t, writeFile(d, rigDir+"/STATEHOUSE", []byte("hello\n"))) })
	emptied    = onGood(func(t *testing.T, d *simdisk.Disk) {
		for _, f := range d.Files() {
			if strings.HasPrefix(f.Path, rigDir+"/store/") {
				ok(t, d.RemoveFile(f.Path))
			}
		}
	})
	halfMade = func(t *testing.T) *simdisk.Disk {
		d := emptyDir(t)
		ok(t, d.MkdirAll(rigDir+"/store", 0o700))
		return d
	}
	nowhere = func(*testing.T) *simdisk.Disk { return simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}) }
)

// TestVerifyRefuses: each obstacle has its own kind and its own words.
func TestVerifyRefuses(t *testing.T) {
	messages := make(map[string]string)
	for _, c := range []place{
		{"missing", nowhere, engine.ErrNoStore, "does not exist"},
		{"empty", emptyDir, engine.ErrNoStore, "is empty"},
		{"a file", aFile, engine.ErrUnusable, "is a file"},
		{"no identity", noIdentity, engine.ErrDataLoss, "its file STATEHOUSE is missing"},
		{"half made", halfMade, engine.ErrNoStore, "has no file STATEHOUSE"},
		{"newer format", future, engine.ErrFormat, "format 3"},
		{"older format", older, engine.ErrFormat, "statehoused migrate "},
		{"no format", ancient, engine.ErrFormat, "format 0"},
		{"damaged identity", rotten, engine.ErrDataLoss, "checksum mismatch"},
		{"not an identity", notOurs, engine.ErrDataLoss, "not an identity file"},
		{"no files", emptied, engine.ErrDataLoss, "has lost its files"},
	} {
		d := c.prepare(t)
		before := contents(t, d)
		_, err := verifyOn(d)
		refusal(t, messages, "verify "+c.name, err, c)
		if c.name != "no files" && c.name != "half made" { // where Pebble leaves a lock behind
			sameContents(t, "verify "+c.name, d, before)
		}
	}
	d, _ := goodStore(t)
	p := openOn(t, d, &rigClock{})
	_, err := verifyOn(d)
	refusal(t, messages, "verify locked", err, place{kind: engine.ErrLocked, says: "is in use"})
	ok(t, p.Close())
	_, err = verifyOn(d)
	ok(t, err)
	env := p.env
	env.FS = nil
	_, err = engine.Verify(env, rigDir, nil)
	refusal(t, messages, "verify nothing", err, place{kind: engine.ErrInvalid, says: "lacks a file system"})
}

// refusal holds an error to its kind and words, and to be told from the others.
func refusal(t *testing.T, messages map[string]string, what string, err error, c place) {
	t.Helper()
	wantKind(t, what, err, c.kind)
	if err == nil {
		return
	}
	if !strings.Contains(err.Error(), c.says) || c.kind != engine.ErrInvalid && !strings.Contains(err.Error(), rigDir) {
		t.Errorf("%s answered %q, which does not say %q and where", what, err, c.says)
	}
	if other, taken := messages[err.Error()]; taken {
		t.Errorf("%s and %s answer the same: %q", what, other, err)
	}
	messages[err.Error()] = what
}

// TestOpenRefuses: as TestVerifyRefuses. Nothing is acknowledged on the way, and
// what was refused once is refused again.
func TestOpenRefuses(t *testing.T) {
	messages := make(map[string]string)
	open := func(d *simdisk.Disk, mustExist bool) error {
		p := newProcess(d, &rigClock{}, nil)
		e, err := engine.Open(p.env, engine.Options{Dir: rigDir, MustExist: mustExist, Tuning: rigTuning})
		if err == nil {
			err = e.Close()
		}
		return err
	}
	foreign := func(t *testing.T) *simdisk.Disk {
		d := emptyDir(t)
		ok(t, writeFile(d, rigDir+"/thesis.doc", nil))
		return d
	}
	for _, c := range []struct {
		place
		mustExist bool
	}{
		{place{"missing", nowhere, engine.ErrNoStore, "does not exist"}, true},
		{place{"empty", emptyDir, engine.ErrNoStore, "holds no store"}, true},
		{place{"a file", aFile, engine.ErrUnusable, "is a file"}, false},
		{place{"foreign files", foreign, engine.ErrUnusable, `"thesis.doc"`}, false},
		{place{"newer format", future, engine.ErrFormat, "format 3"}, false},
		{place{"older format", older, engine.ErrFormat, "statehoused migrate "}, false},
		{place{"no format", ancient, engine.ErrFormat, "format 0"}, false},
		{place{"damaged identity", rotten, engine.ErrDataLoss, "checksum mismatch"}, false},
		{place{"identity missing", noIdentity, engine.ErrDataLoss, "its file STATEHOUSE is missing"}, false},
		{place{"store emptied", emptied, engine.ErrDataLoss, "has lost its files"}, false},
	} {
		d := c.prepare(t)
		refusal(t, messages, "open "+c.name, open(d, c.mustExist), c.place)
		wantKind(t, "open again "+c.name, open(d, c.mustExist), c.kind)
	}
	d, s := goodStore(t)
	p := openOn(t, d, &rigClock{})
	refusal(t, messages, "open locked", open(d, false), place{kind: engine.ErrLocked, says: "is in use"})
	ok(t, s.commits(p, 1))
	ok(t, p.Close())
	wantKind(t, "open of no directory", func() error {
		_, err := engine.Open(p.env, engine.Options{})
		return err
	}(), engine.ErrInvalid)
	for _, make := range []func(t *testing.T) *simdisk.Disk{nowhere, emptyDir} {
		ok(t, open(make(t), false))
	}
}

// TestOpenOnOS holds the same against a real file system, where locks and rights
// are the kernel's.
func TestOpenOnOS(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	halt := func(err error) { t.Errorf("halted: %v", err) }
	env := newProcess(nil, &rigClock{}, halt).env
	env.FS = vfs.Default
	opts := engine.Options{Dir: dir, Tuning: rigTuning}
	e, err := engine.Open(env, opts)
	ok(t, err)
	_, err = engine.Open(env, opts)
	wantKind(t, "second open", err, engine.ErrLocked)
	_, err = engine.Verify(env, dir, nil)
	wantKind(t, "verify while open", err, engine.ErrLocked)
	ok(t, e.Close())
	if r, err := engine.Verify(env, dir, nil); err != nil || r.Commits != 0 {
		t.Errorf("verify of a store without commits: %+v, %v", r, err)
	}
	if os.Geteuid() == 0 {
		t.Log("root may write anywhere: no look at read-only directories")
		return
	}
	sealed := t.TempDir()
	ok(t, os.Chmod(sealed, 0o500))
	opts.Dir = sealed
	_, err = engine.Open(env, opts)
	wantKind(t, "open of a read-only directory", err, engine.ErrUnusable)
	opts.Dir = filepath.Join(sealed, "below")
	_, err = engine.Open(env, opts)
	wantKind(t, "open below a read-only directory", err, engine.ErrUnusable)
}
