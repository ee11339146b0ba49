package founding

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine"
	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
)

const (
	joiningDir = "joining"
	markName   = "directory" // by which the directory is known to whoever gives it a member
)

// What Source.Copy makes.
const (
	CopyDir = "copy" // of a store
	LogDir  = "raft" // the log that goes on from it
)

// Source is where a directory that joins asks.
type Source interface {
	Join(ctx context.Context, directory string) (*clusterpb.JoinResponse, error)
	// Fetch reads a file of the store that members begin with, from an offset on.
	Fetch(ctx context.Context, of *clusterpb.JoinResponse, name string, offset uint64) (io.ReadCloser, error)
	// Copy makes in a directory, for a member that was added, a copy of another's store and the log that goes on from
	// there, both durable. What came of them before may be there.
	Copy(ctx context.Context, of *clusterpb.JoinResponse, dir string) error
}

// Join makes an empty directory that of a member. Interrupted it goes on where it was, file by file.
func Join(ctx context.Context, env engine.Env, dir string, from Source) (*Identity, error) {
	fs := env.FS
	mark, err := begin(env, dir)
	if err != nil {
		return nil, err
	}
	of, err := from.Join(ctx, mark)
	if err != nil {
		return nil, err
	}
	id := &Identity{Cluster: of.GetClusterId(), ID: of.GetId(), Members: of.GetMembers(), Added: of.GetAdded()}
	if _, err := decodeIdentity(id.encode()); err != nil {
		return nil, errors.New("what the cluster answers is no membership")
	}
	to, parts := fs.PathJoin(dir, joiningDir), copied
	if id.Added {
		parts = []string{LogDir}
		for _, part := range copied {
			parts = append(parts, fs.PathJoin(CopyDir, part))
		}
		err = from.Copy(ctx, of, to)
	} else {
		err = fetchAll(ctx, env, to, from, of)
	}
	if err != nil {
		return nil, err
	}
	return id, settle(fs, dir, parts, id)
}

// fetchAll fetches the store that members begin with.
func fetchAll(ctx context.Context, env engine.Env, to string, from Source, of *clusterpb.JoinResponse) error {
	fs := env.FS
	for _, f := range of.GetFiles() {
		if err := checkName(f.GetName()); err != nil {
			return err
		}
		if err := fetch(ctx, fs, to, from, of, f); err != nil {
			return fmt.Errorf("fetching %s: %w", f.GetName(), err)
		}
	}
	if err := errors.Join(syncDir(fs, fs.PathJoin(to, engine.StoreDir)), syncDir(fs, to)); err != nil {
		return err
	}
	if _, err := engine.Verify(env, to, nil); err != nil {
		return fmt.Errorf("the store that was fetched: %w", err)
	}
	return nil
}

// begin makes sure that a directory is empty, or has begun to join, and returns its mark.
func begin(env engine.Env, dir string) (mark string, err error) {
	fs := env.FS
	to := fs.PathJoin(dir, joiningDir)
	if isStore, err := exists(fs, fs.PathJoin(dir, engine.IdentityFile)); err != nil {
		return "", err
	} else if isStore {
		return "", fmt.Errorf("%w: %s holds a store of its own, and who joins a cluster begins with an empty directory", engine.ErrUnusable, dir)
	}
	if err := fs.MkdirAll(fs.PathJoin(to, engine.StoreDir), 0o700); err != nil {
		return "", fmt.Errorf("%w: %w", engine.ErrUnusable, err)
	}
	data, err := readFile(fs, fs.PathJoin(to, markName))
	if err != nil {
		return "", err
	}
	if mark, ok := summed(data); ok {
		// What was in place already goes: it is fetched again.
		for _, part := range append([]string{engine.MemberFile, LogDir}, copied...) {
			if err := fs.RemoveAll(fs.PathJoin(dir, part)); err != nil {
				return "", err
			}
		}
		return strings.TrimSpace(mark), nil
	}
	names, err := fs.List(dir)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if name != joiningDir && !strings.HasPrefix(name, ".") && name != "lost+found" {
			return "", fmt.Errorf("%w: %s holds %q, and who joins a cluster begins with an empty directory", engine.ErrUnusable, dir, name)
		}
	}
	mark = newID(env)
	return mark, errors.Join(writeFile(fs, fs.PathJoin(to, markName), sum(mark+"\n")), syncDir(fs, dir), syncDir(fs, fs.PathDir(dir)))
}

// checkName refuses what is no file of a store.
func checkName(name string) error {
	inside, isInside := strings.CutPrefix(name, engine.StoreDir+"/")
	if name == engine.WitnessFile || name == engine.IdentityFile || isInside && inside != "" && inside != "." && inside != ".." && !strings.ContainsAny(inside, `/\`) {
		return nil
	}
	return fmt.Errorf("%q is no file of a store", name)
}

// errOther says that a file is not what it should be.
var errOther = errors.New("what came is not what was announced")

// fetch fetches a file, unless it is there.
func fetch(ctx context.Context, fs vfs.FS, to string, from Source, of *clusterpb.JoinResponse, f *clusterpb.StoreFile) error {
	at := fs.PathJoin(to, f.GetName())
	if there, err := exists(fs, at); err != nil {
		return err
	} else if there {
		if _, digest, err := digestOf(fs, at); err != nil || bytes.Equal(digest, f.GetSha256()) {
			return err
		}
	}
	w, err := fs.Create(at, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	err = receive(ctx, w, from, of, f)
	if err == nil {
		err = w.Sync()
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	if size, digest, err := digestOf(fs, at); err != nil || size != f.GetSize() || !bytes.Equal(digest, f.GetSha256()) {
		return errors.Join(err, errOther)
	}
	return nil
}

func receive(ctx context.Context, w io.Writer, from Source, of *clusterpb.JoinResponse, f *clusterpb.StoreFile) error {
	var at uint64
	for tries := 0; ; tries++ {
		r, err := from.Fetch(ctx, of, f.GetName(), at)
		if err == nil {
			n, rerr := io.Copy(w, io.LimitReader(r, int64(f.GetSize()-at)))
			at += uint64(n)
			err = errors.Join(rerr, r.Close())
			if n > 0 {
				tries = 0
			}
		}
		switch {
		case at == f.GetSize() && err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case tries == 3:
			return errors.Join(err, io.ErrUnexpectedEOF)
		}
	}
}

// settle puts what was fetched in its place. The store's identity comes last, with which the directory begins to be a
// member's: Read says none before.
func settle(fs vfs.FS, dir string, parts []string, id *Identity) error {
	if err := writeFile(fs, fs.PathJoin(dir, engine.MemberFile), id.encode()); err != nil {
		return err
	}
	for _, part := range parts {
		if err := fs.Rename(fs.PathJoin(dir, joiningDir, part), fs.PathJoin(dir, fs.PathBase(part))); err != nil {
			return err
		}
		if err := syncDir(fs, dir); err != nil {
			return err
		}
	}
	return fs.RemoveAll(fs.PathJoin(dir, joiningDir))
}
