package bundle

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
)

// Writer makes a bundle. Since the manifest comes first, and has the hashes, members
// wait in files of their own until all are written.
type Writer struct {
	dir     string
	members []*member
}

type member struct {
	name string
	file *os.File
	out  *bufio.Writer
	sum  hash.Hash
	size int64
}

func (m *member) Write(p []byte) (int, error) {
	n, err := m.out.Write(p)
	m.sum.Write(p[:n])
	m.size += int64(n)
	return n, err
}

// NewWriter keeps what waits in dir; empty: where temporary files go. Close removes it.
func NewWriter(dir string) *Writer { return &Writer{dir: dir} }

// Member begins the next member: Log, State, then perhaps History.
func (w *Writer) Member(name string) (io.Writer, error) {
	f, err := os.CreateTemp(w.dir, ".bundle-*")
	if err != nil {
		return nil, err
	}
	m := &member{name, f, bufio.NewWriterSize(f, 256<<10), sha256.New(), 0}
	w.members = append(w.members, m)
	return m, nil
}

// Finish writes the bundle. It fills in what the manifest says of the file itself. Equal
// content makes equal bytes.
func (w *Writer) Finish(out io.Writer, m Manifest) error {
	m.Format, m.Version, m.Members = Format, Version, nil
	for _, x := range w.members {
		m.Members = append(m.Members, Member{x.name, x.size, hex.EncodeToString(x.sum.Sum(nil))})
	}
	if err := m.check(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if len(text) > maxManifest {
		return fmt.Errorf("the manifest would have %d bytes, more than %d: name fewer agents", len(text), maxManifest)
	}
	gz := gzip.NewWriter(out)
	tw := tar.NewWriter(gz)
	if err := tw.WriteHeader(header(manifestName, int64(len(text)))); err != nil {
		return err
	}
	if _, err := tw.Write(text); err != nil {
		return err
	}
	for _, x := range w.members {
		if err := x.copyTo(tw); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
	}
	return errors.Join(tw.Close(), gz.Close())
}

func (m *member) copyTo(tw *tar.Writer) error {
	if err := m.out.Flush(); err != nil {
		return err
	}
	if _, err := m.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := tw.WriteHeader(header(m.name, m.size)); err != nil {
		return err
	}
	_, err := io.Copy(tw, m.file)
	return err
}

// header names no one and no time.
func header(name string, size int64) *tar.Header {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, Format: tar.FormatUSTAR}
	if size >= 8<<30 { // more than USTAR can say
		h.Format = tar.FormatGNU
	}
	return h
}

// Close removes what waited.
func (w *Writer) Close() error {
	var errs []error
	for _, m := range w.members {
		errs = append(errs, m.file.Close(), os.Remove(m.file.Name()))
	}
	w.members = nil
	return errors.Join(errs...)
}
