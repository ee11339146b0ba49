package rivals

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"time"

	"statehouse.dev/statehouse/cmd/statehouse-bench/child"
)

// startPostgres starts a cluster with its defaults, which sync every commit. It refuses to
// run as root: then the user of Debian's package runs it.
func startPostgres(ctx context.Context, dir string) (*child.Process, dialer, error) {
	installed, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // a good pattern
	slices.Reverse(installed)
	var paths []string
	for _, bin := range installed {
		paths = append(paths, filepath.Join(bin, "postgres"))
	}
	path, err := find("postgres", "postgresql", paths...)
	if err != nil {
		return nil, nil, err
	}
	var user *child.User
	if os.Geteuid() == 0 {
		if user, err = child.Named("postgres"); err != nil {
			return nil, nil, fmt.Errorf("PostgreSQL does not run as root, and there is no user for it: %w", err)
		}
		// The directory above lets nobody else through.
		if err := errors.Join(user.Own(dir), os.Chmod(filepath.Dir(dir), 0o711)); err != nil {
			return nil, nil, err
		}
	}
	data := filepath.Join(dir, "data")
	initdb := child.Command{
		Path: filepath.Join(filepath.Dir(path), "initdb"), Dir: dir, User: user,
		Args: []string{"--pgdata", data, "--auth", "trust", "--username", "bench", "--encoding", "UTF8", "--locale", "C", "--no-instructions"},
	}
	if err := initdb.Run(ctx); err != nil {
		return nil, nil, err
	}
	port, err := child.FreePort()
	if err != nil {
		return nil, nil, err
	}
	p, err := child.Start(ctx, child.Command{
		Path: path, Dir: dir, User: user, Stop: syscall.SIGINT, // a fast shutdown
		Args:  []string{"-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "max_connections=1100"},
		Ready: regexp.MustCompile("database system is ready to accept connections"),
	})
	if err != nil {
		return nil, nil, err
	}
	dial := func(ctx context.Context) (driver, error) { return dialPostgres(ctx, port) }
	if err := makeTables(ctx, dial); err != nil {
		p.End()
		return nil, nil, err
	}
	return p, dial, nil
}

// What is asked of it. A commit is one statement, so that one answer is waited for; more
// of them before a Sync are one transaction.
const (
	tables = `CREATE TABLE records (key text PRIMARY KEY, version bigint NOT NULL, value json NOT NULL);
CREATE TABLE log (seq bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), txn text NOT NULL, key text NOT NULL, version bigint NOT NULL, value json NOT NULL);
CREATE TABLE history (LIKE log INCLUDING ALL)`
	readText    = `SELECT value, version FROM records WHERE key = $1`
	historyText = `SELECT seq, at, txn, key, version, value FROM history WHERE seq > $1::bigint ORDER BY seq LIMIT $2::bigint`
)

func commitText(log string) string {
	return `WITH w AS (INSERT INTO records AS r VALUES ($2, 1, $3) ON CONFLICT (key) DO UPDATE SET version = r.version + 1, value = excluded.value
		RETURNING key, version, value) INSERT INTO ` + log + ` (txn, key, version, value) SELECT $1, w.* FROM w RETURNING seq, version`
}

func makeTables(ctx context.Context, dial dialer) error {
	d, err := dial(ctx)
	if err != nil {
		return err
	}
	p := d.(*postgres)
	defer p.close()
	p.message('Q', []byte(tables+"\x00"))
	return p.roundTrip(nil)
}

// postgres speaks version 3 of the protocol, with prepared statements:
// https://www.postgresql.org/docs/current/protocol.html
type postgres struct {
	conn     net.Conn
	in       *bufio.Reader
	out      []byte
	row      []byte
	after    int64
	prepared map[string]bool
}

func dialPostgres(ctx context.Context, port string) (driver, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, err
	}
	p := &postgres{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), prepared: make(map[string]bool)}
	hello := "\x00\x03\x00\x00user\x00bench\x00database\x00postgres\x00\x00"
	p.out = append(binary.BigEndian.AppendUint32(nil, uint32(4+len(hello))), hello...)
	if err := p.roundTrip(nil); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *postgres) close() { _ = p.conn.Close() } // nothing is under way

// message adds one to what is sent next.
func (p *postgres) message(kind byte, body []byte) {
	p.out = append(p.out, kind)
	p.out = binary.BigEndian.AppendUint32(p.out, uint32(4+len(body)))
	p.out = append(p.out, body...)
}

// execute adds a statement with its arguments, which is prepared under a name once.
func (p *postgres) execute(name, text string, args ...[]byte) {
	if !p.prepared[name] {
		p.message('P', []byte(name+"\x00"+text+"\x00\x00\x00"))
		p.prepared[name] = true
	}
	bind := append([]byte("\x00"+name), "\x00\x00\x00"...) // the unnamed portal; arguments are texts
	bind = binary.BigEndian.AppendUint16(bind, uint16(len(args)))
	for _, a := range args {
		bind = append(binary.BigEndian.AppendUint32(bind, uint32(len(a))), a...)
	}
	p.message('B', append(bind, 0, 1, 0, 1)) // results are binary
	p.message('E', []byte("\x00\x00\x00\x00\x00"))
}

// roundTrip sends and reads up to the end of the answer.
func (p *postgres) roundTrip(each func(row []byte) error) error {
	if _, err := p.conn.Write(p.out); err != nil {
		return err
	}
	p.out = p.out[:0]
	var failed error
	for {
		var head [5]byte
		if _, err := io.ReadFull(p.in, head[:]); err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint32(head[1:])) - 4
		p.row = slices.Grow(p.row[:0], n)[:n]
		if _, err := io.ReadFull(p.in, p.row); err != nil {
			return err
		}
		switch head[0] {
		case 'E':
			failed = fmt.Errorf("PostgreSQL: %q", p.row)
		case 'D':
			if each != nil {
				failed = errors.Join(failed, each(p.row))
			}
		case 'Z':
			return failed
		}
	}
}

// columns takes a row apart.
func columns(row []byte, into ...*[]byte) error {
	rest := row[min(2, len(row)):]
	for _, column := range into {
		if len(rest) < 4 {
			return errors.New("a row lacks a column")
		}
		n := int(int32(binary.BigEndian.Uint32(rest)))
		if n < 0 || len(rest) < 4+n {
			return errors.New("a column is null, or cut short")
		}
		*column, rest = rest[4:4+n], rest[4+n:]
	}
	return nil
}

func (p *postgres) read(_ context.Context, key string) (value []byte, err error) {
	p.execute("read", readText, []byte(key))
	p.message('S', nil)
	err = p.roundTrip(func(row []byte) error {
		err := columns(row, &value)
		value = slices.Clone(value)
		return err
	})
	return value, err
}

func (p *postgres) commit(_ context.Context, records []record, history bool) error {
	log := "log"
	if history {
		log = "history"
	}
	for _, w := range records {
		p.execute(log, commitText(log), []byte(w.txn), []byte(w.key), w.value)
	}
	p.message('S', nil)
	return p.roundTrip(nil)
}

// entry is one of the log, as a client makes use of it.
type entry struct {
	seq, version int64
	at           time.Time
	txn, key     string
	value        []byte
}

// midnight is where PostgreSQL counts time from.
var midnight = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func readEntry(row []byte) (e entry, err error) {
	var seq, at, txn, key, version, value []byte
	if err := columns(row, &seq, &at, &txn, &key, &version, &value); err != nil {
		return e, err
	}
	if len(seq) != 8 || len(at) != 8 || len(version) != 8 {
		return e, errors.New("a number is not of 8 bytes")
	}
	number := func(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }
	return entry{number(seq), number(version), midnight.Add(time.Duration(number(at)) * time.Microsecond), string(txn), string(key), slices.Clone(value)}, nil
}

func (p *postgres) history(_ context.Context, about int) (int, error) {
	p.execute("page", historyText, strconv.AppendInt(nil, p.after, 10), strconv.AppendInt(nil, int64(about), 10))
	p.message('S', nil)
	var page []entry
	err := p.roundTrip(func(row []byte) error {
		e, err := readEntry(row)
		page = append(page, e)
		p.after = e.seq
		return err
	})
	if len(page) < about {
		p.after = 0
	}
	return len(page), err
}
