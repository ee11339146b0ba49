package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	iofs "io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine"
)

// Who is too far behind for the log has the files of a checkpoint of another member: asked for one stretch
// after the other, so that it can go on where it was interrupted. Nothing is taken for a store before all of
// them are here, on disk, and verified.

// Listing is what a checkpoint consists of.
type Listing struct {
	Name  string     `json:"name"` // no two checkpoints have the same
	Files []Transfer `json:"files"`
}

// Transfer is a file of a checkpoint.
type Transfer struct {
	Path string `json:"path"` // in the checkpoint, with slashes
	Size int64  `json:"size"`
	Sum  uint32 `json:"crc32c"`
}

// List lists the checkpoint in dir. It reads all of it, and may be called while the node goes on.
func List(fs vfs.FS, dir, name string) (Listing, error) {
	l := Listing{Name: name}
	err := l.add(fs, dir, "")
	return l, err
}

func (l *Listing) add(fs vfs.FS, dir, path string) error {
	names, err := fs.List(fs.PathJoin(dir, path))
	if err != nil {
		return err
	}
	for _, name := range sorted(names) {
		at := strings.TrimPrefix(path+"/"+name, "/")
		info, err := fs.Stat(fs.PathJoin(dir, at))
		if err == nil && info.IsDir() {
			err = l.add(fs, dir, at)
		} else if err == nil {
			var sum uint32
			sum, err = sumOf(fs, fs.PathJoin(dir, at))
			l.Files = append(l.Files, Transfer{at, info.Size(), sum})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func sumOf(fs vfs.FS, path string) (uint32, error) {
	f, err := fs.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	sum := crc32.New(castagnoli)
	_, err = io.Copy(sum, f)
	return sum.Sum32(), err
}

// ReadStretch reads at most limit bytes of a file of a checkpoint.
func ReadStretch(fs vfs.FS, dir, path string, offset int64, limit int) ([]byte, error) {
	f, err := fs.Open(fs.PathJoin(dir, path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, limit)
	n, err := f.ReadAt(b, offset)
	if errors.Is(err, io.EOF) && n > 0 {
		err = nil
	}
	return b[:n], err
}

// Incoming is a checkpoint that comes in.
type Incoming struct {
	fs   vfs.FS
	dir  string
	list Listing
	at   int      // the file that is next
	file vfs.File // open
	size int64    // of it, so far
}

const listName = "listing.json"

// Begin begins to take in a checkpoint, or goes on with what has come of the same one. Whatever else is in dir
// goes.
func Begin(fs vfs.FS, dir string, l Listing) (*Incoming, error) {
	for _, f := range l.Files {
		if f.Path == "" || f.Path == listName || strings.HasPrefix(f.Path, "/") || strings.Contains("/"+f.Path+"/", "/../") || f.Size < 0 {
			return nil, fmt.Errorf("a checkpoint has a file %q", f.Path)
		}
	}
	in := &Incoming{fs: fs, dir: dir, list: l}
	text, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	if have, err := readAll(fs, fs.PathJoin(dir, listName)); err == nil && string(have) == string(text) {
		return in, in.next()
	}
	if err := errors.Join(fs.RemoveAll(dir), fs.MkdirAll(dir, 0o700)); err != nil {
		return nil, err
	}
	if err := writeWhole(fs, fs.PathJoin(dir, listName), text); err != nil {
		return nil, err
	}
	return in, in.next()
}

// next opens the first file that is not whole, from at on.
func (in *Incoming) next() error {
	for ; in.at < len(in.list.Files); in.at++ {
		f := in.list.Files[in.at]
		path := in.fs.PathJoin(in.dir, f.Path)
		info, err := in.fs.Stat(path)
		switch {
		case err == nil && info.Size() == f.Size:
			continue
		case err == nil && info.Size() < f.Size:
			in.size = info.Size()
			in.file, err = in.fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
			return err
		}
		if err := in.fs.MkdirAll(in.fs.PathDir(path), 0o700); err != nil {
			return err
		}
		in.size = 0
		in.file, err = in.fs.Create(path, vfs.WriteCategoryUnspecified)
		if err != nil || f.Size > 0 {
			return err
		}
		if err := in.close(); err != nil {
			return err
		}
	}
	return nil
}

// Next says which stretch is to be fetched next; false: all has come.
func (in *Incoming) Next() (path string, offset int64, ok bool) {
	if in.at == len(in.list.Files) {
		return "", 0, false
	}
	return in.list.Files[in.at].Path, in.size, true
}

// Put takes the stretch that Next asked for, or the beginning of it.
func (in *Incoming) Put(data []byte) error {
	if in.at == len(in.list.Files) || len(data) == 0 || in.size+int64(len(data)) > in.list.Files[in.at].Size {
		return errors.New("a stretch of a checkpoint is not what was asked for")
	}
	if _, err := in.file.WriteAt(data, in.size); err != nil {
		return err
	}
	if in.size += int64(len(data)); in.size < in.list.Files[in.at].Size {
		return nil
	}
	if err := in.close(); err != nil {
		return err
	}
	in.at++
	return in.next()
}

// close closes the file that is coming. When its sync fails, what that did cannot be known, and another one would say
// nothing: the file comes again.
func (in *Incoming) close() error {
	f := in.file
	in.file = nil
	err := errors.Join(f.Sync(), f.Close())
	if err != nil {
		err = errors.Join(err, in.fs.Remove(in.fs.PathJoin(in.dir, in.list.Files[in.at].Path)))
	}
	return err
}

// Close ends taking in. What has come stays, for the next Begin.
func (in *Incoming) Close() error {
	if in.file == nil {
		return nil
	}
	return in.close()
}

// ErrTransfer says that a checkpoint has come that is none. It is fetched anew.
var ErrTransfer = errors.New("the checkpoint that has come is not what was sent, or is no store")

// Finish makes sure that what has come is what was sent, is durable, and is a store in which everything holds.
// It returns up to where that has the log. What is not is removed. It reads all of it, and may be called
// while the node goes on.
func (in *Incoming) Finish(env engine.Env) (*Mark, error) {
	if _, _, more := in.Next(); more {
		return nil, errors.New("a checkpoint has not come to its end")
	}
	m, err := in.verify(env)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrTransfer, err), in.fs.RemoveAll(in.dir))
	}
	return m, nil
}

func (in *Incoming) verify(env engine.Env) (*Mark, error) {
	dirs := []string{in.dir}
	for _, f := range in.list.Files {
		path := in.fs.PathJoin(in.dir, f.Path)
		// A file may be whole and not durable: the process may have ended before it was synced.
		if err := syncPath(in.fs, path); err != nil {
			return nil, err
		}
		if sum, err := sumOf(in.fs, path); err != nil || sum != f.Sum {
			return nil, fmt.Errorf("%s has another checksum (%v)", f.Path, err)
		}
		for dir := in.fs.PathDir(path); dir != in.dir; dir = in.fs.PathDir(dir) {
			dirs = append(dirs, dir)
		}
	}
	for _, dir := range append(sorted(dirs), in.fs.PathDir(in.dir)) {
		if err := syncDir(in.fs, dir); err != nil {
			return nil, err
		}
	}
	if _, err := engine.Verify(env, in.dir, nil); err != nil {
		return nil, err
	}
	var m *Mark
	err := engine.ReadSystem(env, in.dir, func(rows engine.SystemReader) (err error) {
		m, err = readMark(rows)
		return err
	})
	if err == nil {
		m.listing = in.list.Name
	}
	return m, err
}

// listed is the name of the checkpoint in dir; empty: there is none.
func listed(fs vfs.FS, dir string) (string, error) {
	path := fs.PathJoin(dir, listName)
	if _, err := fs.Stat(path); errors.Is(err, iofs.ErrNotExist) {
		return "", nil
	}
	text, err := readAll(fs, path)
	if err != nil {
		return "", err
	}
	var l Listing
	return l.Name, json.Unmarshal(text, &l)
}
