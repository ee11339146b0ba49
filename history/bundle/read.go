package bundle

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"statehouse.dev/statehouse/history"
)

const (
	maxManifest = 1 << 20
	// DefaultBytes is the limit of Open when none is given.
	DefaultBytes = 4 << 30
	// overhead is what the form may take beside the members: headers and padding.
	overhead = 64 << 10
)

// Bundle is one that has been seen to be whole. It is safe for concurrent use if what it
// reads from is.
type Bundle struct {
	Manifest Manifest
	in       io.ReaderAt
	size     int64
	limit    int64
}

// Open reads a bundle to its end and holds it to its manifest: every hash, every size,
// nothing besides. limit is how many bytes its members may have unpacked, all together;
// 0: DefaultBytes.
func Open(in io.ReaderAt, size, limit int64) (*Bundle, error) {
	if limit == 0 {
		limit = DefaultBytes
	}
	b := &Bundle{in: in, size: size, limit: limit}
	s, err := b.unpack()
	if err != nil {
		return nil, err
	}
	b.Manifest = s.manifest
	for range s.manifest.Members {
		m, err := s.next()
		if err == nil {
			_, err = io.Copy(io.Discard, m)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := s.end(); err != nil {
		return nil, err
	}
	return b, nil
}

// Member reads a member from its beginning. Its hash is looked at once more: an end
// without an error says that it was right.
func (b *Bundle) Member(name string) (io.Reader, error) {
	if !b.Manifest.Has(name) {
		return nil, fmt.Errorf("there is no %s in this bundle", name)
	}
	s, err := b.unpack()
	if err != nil {
		return nil, err
	}
	for _, x := range s.manifest.Members {
		m, err := s.next()
		if err != nil || x.Name == name {
			return m, err
		}
		if _, err := io.Copy(io.Discard, m); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("the bundle changed while it was read")
}

// Lines reads a member as the history that it is.
func (b *Bundle) Lines(name string) (*history.Reader, error) {
	m, err := b.Member(name)
	if err != nil {
		return nil, err
	}
	r, err := history.NewReader(m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// stream is a bundle on its way through, after its manifest.
type stream struct {
	file     *bufio.Reader
	unpacked *bounded
	tar      *tar.Reader
	manifest Manifest
	members  int // that were given out
}

// bounded ends in an error where more comes than can be right: a small file can unpack
// to any size.
type bounded struct {
	in   io.Reader
	left int64
}

var errTooMuch = errors.New("more comes out of it than its manifest says, or than may")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooMuch
	}
	n, err := b.in.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// unpack reads the manifest.
func (b *Bundle) unpack() (*stream, error) {
	s := &stream{file: bufio.NewReaderSize(io.NewSectionReader(b.in, 0, b.size), 256<<10)}
	gz, err := gzip.NewReader(s.file)
	if err != nil {
		return nil, fmt.Errorf("this is no bundle: %w", cut(err))
	}
	gz.Multistream(false) // what follows is not part of it
	s.unpacked = &bounded{gz, maxManifest + overhead}
	s.tar = tar.NewReader(s.unpacked)
	h, err := s.tar.Next()
	switch {
	case err != nil:
		return nil, fmt.Errorf("this is no bundle: %w", cut(err))
	case plain(h, manifestName) != nil:
		return nil, fmt.Errorf("this is no bundle: %w", plain(h, manifestName))
	case h.Size > maxManifest:
		return nil, fmt.Errorf("its manifest has %d bytes, more than %d", h.Size, maxManifest)
	}
	text, err := io.ReadAll(s.tar)
	if err != nil {
		return nil, fmt.Errorf("its manifest cannot be read: %w", cut(err))
	}
	if err := s.manifest.parse(text); err != nil {
		return nil, err
	}
	all := s.manifest.bytes()
	if all > b.limit {
		return nil, fmt.Errorf("it has %d bytes unpacked, more than the limit of %d", all, b.limit)
	}
	s.unpacked.left = all + overhead
	return s, nil
}

// next is the next member that the manifest names.
func (s *stream) next() (io.Reader, error) {
	want := s.manifest.Members[s.members]
	s.members++
	h, err := s.tar.Next()
	switch {
	case err == io.EOF:
		return nil, fmt.Errorf("%s is missing", want.Name)
	case err != nil:
		return nil, fmt.Errorf("before %s: %w", want.Name, cut(err))
	case plain(h, want.Name) != nil:
		return nil, plain(h, want.Name)
	case h.Size != want.Size:
		return nil, fmt.Errorf("%s has %d bytes, and the manifest says %d", want.Name, h.Size, want.Size)
	}
	return &checked{s.tar, want, sha256.New()}, nil
}

// end looks at what comes after the members, which is nothing.
func (s *stream) end() error {
	if h, err := s.tar.Next(); err == nil {
		return fmt.Errorf("there is %q in it, which the manifest does not name", h.Name)
	} else if err != io.EOF {
		return fmt.Errorf("behind its members: %w", cut(err))
	}
	// The end of the compressed data has a checksum of all.
	if _, err := io.Copy(zeros{}, s.unpacked); err != nil {
		return fmt.Errorf("behind its members: %w", cut(err))
	}
	if _, err := s.file.ReadByte(); err != io.EOF {
		return errors.New("there is something behind its end")
	}
	return nil
}

// zeros takes nothing else.
type zeros struct{}

func (zeros) Write(p []byte) (int, error) {
	for _, c := range p {
		if c != 0 {
			return 0, errors.New("there is something where nothing should be")
		}
	}
	return len(p), nil
}

// plain refuses what is not a file of this name and nothing else: no path, link, device
// or sparse file, and no attributes.
func plain(h *tar.Header, name string) error {
	switch {
	case h.Name != name:
		return fmt.Errorf("there is %q where %s should be", h.Name, name)
	case h.Typeflag != tar.TypeReg || h.Linkname != "" || len(h.PAXRecords) > 0:
		return fmt.Errorf("%s is not a plain file", name)
	}
	return nil
}

// cut says in words that a file ends too early.
func cut(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("the file is cut off: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// checked is a member whose hash is compared at its end.
type checked struct {
	in   io.Reader
	want Member
	sum  hash.Hash
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.sum.Write(p[:n])
	switch {
	case err == io.EOF && hex.EncodeToString(c.sum.Sum(nil)) != c.want.SHA256:
		return n, fmt.Errorf("the hash of %s is not the one in the manifest: it was damaged or changed", c.want.Name)
	case err != nil && err != io.EOF:
		return n, fmt.Errorf("%s: %w", c.want.Name, cut(err))
	}
	return n, err
}
