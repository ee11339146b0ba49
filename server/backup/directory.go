package backup

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"statehouse.dev/statehouse/engine"
)

// Directory is a target in a file system. Its files are those of segments of a backup.
func Directory(env engine.Env, path string) Target { return &directory{env, path} }

type directory struct {
	env  engine.Env
	path string
}

const unfinished = ".unfinished" // what an interrupted Put leaves

func (d *directory) List() ([]string, error) {
	if err := d.env.FS.MkdirAll(d.path, 0o700); err != nil {
		return nil, err
	}
	names, err := d.env.FS.List(d.path)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	return slices.DeleteFunc(names, func(n string) bool { return strings.HasSuffix(n, unfinished) }), nil
}

func (d *directory) Open(name string) (io.ReadCloser, error) {
	return d.env.FS.Open(d.env.FS.PathJoin(d.path, name))
}

// Put writes a file of a name that no other process has, and links it to its own, which fails where
// a rename would replace.
func (d *directory) Put(name string, write func(io.Writer) error) error {
	files := d.env.FS
	random := make([]byte, 8)
	d.env.Rand(random)
	path := files.PathJoin(d.path, name)
	tmp := path + "." + hex.EncodeToString(random) + unfinished
	f, err := files.Create(tmp, "archive")
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = files.Link(tmp, path)
	}
	if errors.Is(err, fs.ErrExist) {
		err = ErrExists
	}
	if rerr := files.Remove(tmp); err == nil {
		err = rerr
	}
	if err != nil {
		return err
	}
	return d.sync()
}

func (d *directory) sync() error {
	dir, err := d.env.FS.OpenDir(d.path)
	if err != nil {
		return err
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("the archive's directory cannot be synced: %w", err)
	}
	return nil
}
