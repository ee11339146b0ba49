package member

import (
	"errors"
	"fmt"

	"statehouse.dev/statehouse/cluster/founding"
	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
)

// The way back: a member's directory becomes the store of one machine. Interrupted at any moment it is done again from
// where it was; until it is done, the directory is nobody's to start.
//
//	CLUSTER says that it leaves          no daemon starts on it any more
//	all that the log has is applied, and on disk
//	raft/ has another name               nothing is applied again
//	what the store has of the log goes
//	raft/, and what else is a member's, goes
//	CLUSTER goes                         it is a store like any other

// leftDir is the log's name when it is not needed any more.
const leftDir = "raft.left"

// Stopped is a member that no process runs.
type Stopped struct {
	Identity *founding.Identity
	Status   node.Status
	Commits  engine.CommitTS
	Chain    [32]byte
}

// Others is how many members vote beside this one.
func (s *Stopped) Others() (n int) {
	for _, o := range s.Status.Members {
		if o.ID != s.Status.ID && !o.Learner {
			n++
		}
	}
	return n
}

// Addr is where the others reach a member.
func (s *Stopped) Addr(o node.Member) string {
	if o.Place.Address != "" {
		return o.Place.Address
	}
	return s.Identity.AddrOf(o.ID)
}

// ErrNotNewest says that it is not known whether a member that is to leave with its store is the most recent.
var ErrNotNewest = errors.New("the other members may have more")

// Examine says how a member stands.
func Examine(env engine.Env, o engine.Options) (*Stopped, error) {
	id, err := identityOf(env, o.Dir)
	if err != nil {
		return nil, err
	}
	return withNode(env, o, id, func(*Stopped, *engine.Engine, *node.Node) error { return nil })
}

// Leave makes a member's directory that of one machine, with all that its log has. Where others vote, newest says that
// theirs have no more.
func Leave(env engine.Env, o engine.Options, newest bool) (*Stopped, error) {
	fs := env.FS
	id, err := identityOf(env, o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Stopped{Identity: id}
	if _, err := fs.Stat(fs.PathJoin(o.Dir, RaftDir)); err == nil {
		s, err = withNode(env, o, id, func(s *Stopped, e *engine.Engine, n *node.Node) error {
			if s.Others() > 0 && !newest && !id.Leaving {
				return ErrNotNewest
			}
			return n.Leave(func() error { return founding.Leaving(fs, o.Dir, id) })
		})
		if err != nil {
			return s, err
		}
		if err := founding.Rename(fs, o.Dir, RaftDir, leftDir); err != nil {
			return nil, err
		}
	} else if !id.Leaving {
		return nil, fmt.Errorf("%w: there is no log in %s, so what this member has is not known", engine.ErrDataLoss, o.Dir)
	}
	return s, settle(env, o, s)
}

func identityOf(env engine.Env, dir string) (*founding.Identity, error) {
	id, err := founding.Read(env.FS, dir)
	if err == nil && id == nil {
		err = fmt.Errorf("%w: %s is not the directory of a cluster's member", engine.ErrUnusable, dir)
	}
	if err == nil && id.Removed {
		err = node.ErrRemoved
	}
	return id, err
}

// withNode opens a member's store and its log for as long as do takes, and says how they stand at the end.
func withNode(env engine.Env, o engine.Options, id *founding.Identity, do func(*Stopped, *engine.Engine, *node.Node) error) (s *Stopped, err error) {
	// Whoever has it open has locked it; Recover would only find that it cannot open the log.
	err = engine.ReadSystem(env, o.Dir, func(engine.SystemReader) error { return nil })
	if errors.Is(err, engine.ErrLocked) {
		return nil, err
	}
	if err := Recover(env, o.Dir); err != nil {
		return nil, err
	}
	o.Replicated, o.MustExist = true, true
	e, err := engine.Open(env, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	n, err := node.Open(node.Config{ID: id.ID, Members: id.Founders(), Engine: e, FS: env.FS, Dir: env.FS.PathJoin(o.Dir, RaftDir), Rand: env.Rand, Halt: env.Halt})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	s = &Stopped{Identity: id, Status: n.Status()}
	err = do(s, e, n)
	s.Commits, s.Chain = e.Head()
	return s, err
}

// settle does what is left when the log is not needed any more.
func settle(env engine.Env, o engine.Options, s *Stopped) error {
	fs, member := env.FS, o
	member.Replicated, member.MustExist = true, true
	e, err := engine.Open(env, member)
	if err != nil {
		return err
	}
	e.Follow() // nothing is committed here
	s.Commits, s.Chain = e.Head()
	if err := errors.Join(node.Forget(e), e.Close()); err != nil {
		return err
	}
	for _, dir := range []string{leftDir, IncomingDir, checkpointDir} {
		if err := fs.RemoveAll(fs.PathJoin(o.Dir, dir)); err != nil {
			return err
		}
	}
	if err := founding.Left(fs, o.Dir); err != nil {
		return err
	}
	o.MustExist = true
	if e, err = engine.Open(env, o); err != nil { // as whoever has it now does
		return err
	}
	return e.Close()
}
