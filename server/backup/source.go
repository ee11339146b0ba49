package backup

import (
	"bufio"
	"io"
	"slices"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history/segment"
)

// source is a backup that is read: a directory, whose files hold a segment each, or a file, which
// holds one after the other.
type source struct {
	env   *engine.Env
	path  string
	files []string // of a directory, in order; nil: path is a file
}

func openSource(env *engine.Env, path string) (*source, error) {
	info, err := env.FS.Stat(path)
	if err != nil {
		return nil, failf(engine.ErrNoStore, "there is no backup: %v", err)
	}
	s := &source{env: env, path: path}
	if !info.IsDir() {
		return s, nil
	}
	names, err := env.FS.List(path)
	if err != nil {
		return nil, failf(engine.ErrStorage, "%s cannot be listed: %v", path, err)
	}
	s.files = slices.DeleteFunc(names, func(n string) bool { return !segment.IsName(n) })
	slices.Sort(s.files)
	if len(s.files) == 0 {
		return nil, failf(engine.ErrNoStore, "%s holds no backup: no file of it is named as a segment is", path)
	}
	return s, nil
}

// each calls visit with every segment in order, until it returns stop.
func (s *source) each(visit func(name string, r *segment.Reader) (stop bool, err error)) error {
	if s.files == nil {
		_, err := s.eachIn(s.path, visit)
		return err
	}
	for _, name := range s.files {
		stop, err := s.eachIn(s.env.FS.PathJoin(s.path, name), func(path string, r *segment.Reader) (bool, error) {
			if want := segment.Name(r.Header.After + 1); name != want {
				return false, failf(engine.ErrDataLoss, "%s: it holds what belongs in %s", path, want)
			}
			return visit(path, r)
		})
		if stop || err != nil {
			return err
		}
	}
	return nil
}

func (s *source) eachIn(path string, visit func(name string, r *segment.Reader) (bool, error)) (stop bool, err error) {
	f, err := s.env.FS.Open(path)
	if err != nil {
		return false, failf(engine.ErrStorage, "a segment cannot be read: %v", err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 256<<10)
	for n := 0; ; n++ {
		r, err := segment.NewReader(in)
		if err == io.EOF && n > 0 {
			return false, nil
		}
		if err == io.EOF {
			err = segment.ErrDamaged // an empty file
		}
		if err != nil {
			return false, about(path, err)
		}
		stop, err = visit(path, r)
		r.Close()
		if stop || err != nil {
			return stop, err
		}
	}
}
