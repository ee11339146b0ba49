package founding

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine"
	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
)

const (
	initialDir = "initial"
	filesName  = "files"  // of the copy, with their digests; written when all of them are there
	claimsName = "claims" // which directories the members were given to
)

// copied are the parts of a data directory that make a store.
var copied = []string{engine.StoreDir, engine.WitnessFile, engine.IdentityFile}

// Found makes the store in a directory that of the first member of a cluster. No process has it open. If there is none it is
// made. o is how the store is to be opened, members are the addresses at which all of them will listen for each other, self
// is this one's.
func Found(env engine.Env, o engine.Options, members []string, self string) (*Identity, error) {
	id := &Identity{Cluster: newID(env)}
	for i, addr := range members {
		id.Members = append(id.Members, &clusterpb.Member{Id: uint64(i + 1), PeerAddr: addr})
		if addr == self {
			id.ID = uint64(i + 1)
		}
	}
	if id.ID == 0 {
		return nil, fmt.Errorf("%w: %s is not among the members that found the cluster, %s", engine.ErrInvalid, self, strings.Join(members, ", "))
	}
	e, err := engine.Open(env, o) // closed, it is a few files at rest
	if err == nil {
		err = e.Close()
	}
	if err != nil {
		return nil, err
	}
	if err := layBy(env.FS, o.Dir); err != nil {
		return nil, fmt.Errorf("%w: the store that members begin with cannot be laid by: %w", engine.ErrStorage, err)
	}
	return id, writeFile(env.FS, env.FS.PathJoin(o.Dir, engine.MemberFile), id.encode())
}

// layBy copies a closed store. Its tables never change, and are linked.
func layBy(fs vfs.FS, dir string) error {
	to := fs.PathJoin(dir, initialDir)
	if err := fs.RemoveAll(to); err != nil {
		return err
	}
	if err := fs.MkdirAll(fs.PathJoin(to, engine.StoreDir), 0o700); err != nil {
		return err
	}
	names, err := namesOf(fs, dir)
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, name := range names {
		at := fs.PathJoin(to, name)
		if strings.HasSuffix(name, ".sst") {
			err = vfs.LinkOrCopy(fs, fs.PathJoin(dir, name), at)
		} else {
			err = vfs.Copy(fs, fs.PathJoin(dir, name), at)
		}
		if err != nil {
			return err
		}
		size, digest, err := digestOf(fs, at)
		if err != nil {
			return err
		}
		fmt.Fprintf(&list, "%x %d %s\n", digest, size, name)
	}
	if err := errors.Join(syncDir(fs, fs.PathJoin(to, engine.StoreDir)), syncDir(fs, to), syncDir(fs, dir)); err != nil {
		return err
	}
	return writeFile(fs, fs.PathJoin(to, filesName), sum(list.String()))
}

// namesOf are the files of a store, with slashes.
func namesOf(fs vfs.FS, dir string) (names []string, err error) {
	for _, part := range copied {
		if part != engine.StoreDir {
			names = append(names, part)
			continue
		}
		inside, err := fs.List(fs.PathJoin(dir, part))
		if err != nil {
			return nil, err
		}
		slices.Sort(inside)
		for _, name := range inside {
			if name != "LOCK" { // Pebble's
				names = append(names, part+"/"+name)
			}
		}
	}
	return names, nil
}

func digestOf(fs vfs.FS, name string) (size uint64, digest []byte, err error) {
	f, err := fs.Open(name, vfs.SequentialReadsOption)
	if err != nil {
		return 0, nil, err
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	return uint64(n), h.Sum(nil), errors.Join(err, f.Close())
}

// Initial is the store that members begin with, as the first of them keeps it. Its methods may be called from any
// goroutine.
type Initial struct {
	fs    vfs.FS
	dir   string
	id    *Identity
	files []*clusterpb.StoreFile

	mu     sync.Mutex
	claims map[uint64]string // the directories that members were given to
}

// OpenInitial opens what a member keeps for those that have not joined; nil: it is not the one, or all have.
func OpenInitial(fs vfs.FS, dir string, id *Identity) (*Initial, error) {
	i := &Initial{fs: fs, dir: fs.PathJoin(dir, initialDir), id: id, claims: make(map[uint64]string)}
	data, err := readFile(fs, fs.PathJoin(i.dir, filesName))
	if data == nil || err != nil {
		return nil, err
	}
	list, ok := summed(data)
	if !ok {
		return nil, fmt.Errorf("%w: %s is damaged", engine.ErrDataLoss, fs.PathJoin(i.dir, filesName))
	}
	for line := range strings.Lines(list) {
		f := new(clusterpb.StoreFile)
		if !scan(line, "%x %d %s\n", &f.Sha256, &f.Size, &f.Name) {
			return nil, fmt.Errorf("%w: %s is damaged", engine.ErrDataLoss, fs.PathJoin(i.dir, filesName))
		}
		i.files = append(i.files, f)
	}
	if data, err = readFile(fs, fs.PathJoin(i.dir, claimsName)); err != nil {
		return nil, err
	}
	if claims, ok := summed(data); ok || data == nil {
		for line := range strings.Lines(claims) {
			var member uint64
			var directory string
			if scan(line, "%d %s\n", &member, &directory) {
				i.claims[member] = directory
			}
		}
		return i, nil
	}
	return nil, fmt.Errorf("%w: %s is damaged", engine.ErrDataLoss, fs.PathJoin(i.dir, claimsName))
}

// ErrTaken says that a member was given to another directory.
var ErrTaken = errors.New("this member is another directory already: what a member has promised is gone with its disk, so an empty one cannot take its place; if that is lost, have it removed (statehousectl cluster remove) and a new member added (cluster add)")

// Claim gives a member to a directory, for good, and says what it is to fetch. It answers the same each time.
func (i *Initial) Claim(addr, directory string) (*clusterpb.JoinResponse, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	at := slices.IndexFunc(i.id.Members, func(m *clusterpb.Member) bool { return m.GetPeerAddr() == addr })
	if at < 0 || i.id.Members[at].GetId() == i.id.ID {
		return nil, fmt.Errorf("%s is the address of no member that is to join: those of the cluster are %s", addr, strings.Join(addrs(i.id.Members), ", "))
	}
	member := i.id.Members[at].GetId()
	switch i.claims[member] {
	case "":
		i.claims[member] = directory
		if err := i.saveClaims(); err != nil {
			delete(i.claims, member)
			return nil, err
		}
	case directory:
	default:
		return nil, ErrTaken
	}
	return &clusterpb.JoinResponse{ClusterId: i.id.Cluster, Id: member, Members: i.id.Members, Files: i.files, Keeper: i.id.ID}, nil
}

func addrs(members []*clusterpb.Member) (all []string) {
	for _, m := range members {
		all = append(all, m.GetPeerAddr())
	}
	return all
}

func (i *Initial) saveClaims() error {
	var b strings.Builder
	for _, m := range i.id.Members {
		if directory := i.claims[m.GetId()]; directory != "" {
			fmt.Fprintf(&b, "%d %s\n", m.GetId(), directory)
		}
	}
	return writeFile(i.fs, i.fs.PathJoin(i.dir, claimsName), sum(b.String()))
}

// Open opens one of the files, at an offset.
func (i *Initial) Open(name string, offset uint64) (io.ReadCloser, error) {
	if !slices.ContainsFunc(i.files, func(f *clusterpb.StoreFile) bool { return f.GetName() == name && offset <= f.GetSize() }) {
		return nil, fmt.Errorf("the store that members begin with has no file %q of more than %d bytes", name, offset)
	}
	f, err := i.fs.Open(i.fs.PathJoin(i.dir, name), vfs.SequentialReadsOption)
	if err != nil {
		return nil, err
	}
	return From(f, offset), nil
}

// From reads a file from an offset on.
func From(f vfs.File, offset uint64) io.ReadCloser { return &section{f, int64(offset)} }

// section is what From returns.
type section struct {
	vfs.File
	at int64
}

func (s *section) Read(p []byte) (int, error) {
	n, err := s.ReadAt(p, s.at)
	s.at += int64(n)
	return n, err
}

// Remove removes the copy, when all have joined.
func (i *Initial) Remove() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return errors.Join(i.fs.Remove(i.fs.PathJoin(i.dir, filesName)), i.fs.RemoveAll(i.dir))
}
