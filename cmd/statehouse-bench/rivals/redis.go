package rivals

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"

	"statehouse.dev/statehouse/cmd/statehouse-bench/child"
)

// startRedis has every command of the append-only file synced before it is answered.
func startRedis(ctx context.Context, dir string) (*child.Process, dialer, error) {
	path, err := find("redis-server", "redis-server")
	if err != nil {
		return nil, nil, err
	}
	port, err := child.FreePort()
	if err != nil {
		return nil, nil, err
	}
	p, err := child.Start(ctx, child.Command{
		Path: path, Dir: dir, Ready: regexp.MustCompile("Ready to accept connections"),
		Args: []string{"--bind", "127.0.0.1", "--port", port, "--dir", dir, "--appendonly", "yes", "--appendfsync", "always", "--save", ""},
	})
	return p, func(ctx context.Context) (driver, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			return nil, err
		}
		return &redis{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), after: "-"}, nil
	}, err
}

// redis speaks RESP: https://redis.io/docs/latest/develop/reference/protocol-spec/
type redis struct {
	conn  net.Conn
	in    *bufio.Reader
	out   []byte
	after string // where history goes on
}

func (r *redis) close() { _ = r.conn.Close() } // nothing is under way

// ask adds a command to what is sent next.
func (r *redis) ask(args ...[]byte) {
	r.out = fmt.Appendf(r.out, "*%d\r\n", len(args))
	for _, a := range args {
		r.out = append(r.out, '$')
		r.out = strconv.AppendInt(r.out, int64(len(a)), 10)
		r.out = append(r.out, "\r\n"...)
		r.out = append(append(r.out, a...), "\r\n"...)
	}
}

func (r *redis) send() error {
	_, err := r.conn.Write(r.out)
	r.out = r.out[:0]
	return err
}

func (r *redis) read(_ context.Context, key string) ([]byte, error) {
	r.ask([]byte("GET"), []byte(key))
	if err := r.send(); err != nil {
		return nil, err
	}
	text, _, err := r.reply()
	return text, err
}

func (r *redis) commit(_ context.Context, records []record, history bool) error {
	log := []byte("log")
	if history {
		log = []byte("history")
	}
	r.ask([]byte("MULTI"))
	for _, w := range records {
		r.ask([]byte("SET"), []byte(w.key), w.value)
		r.ask([]byte("XADD"), log, []byte("*"), []byte("txn"), []byte(w.txn), []byte("key"), []byte(w.key), []byte("value"), w.value)
	}
	r.ask([]byte("EXEC"))
	if err := r.send(); err != nil {
		return err
	}
	for range 2*len(records) + 1 { // OK and QUEUED
		if _, _, err := r.reply(); err != nil {
			return err
		}
	}
	_, answers, err := r.reply()
	if err == nil && answers != 2*len(records) {
		err = errors.New("the transaction was not carried out")
	}
	for range answers {
		if _, _, each := r.reply(); each != nil {
			err = each
		}
	}
	return err
}

// history reads pages of 1,000: an answer is made as a whole.
func (r *redis) history(_ context.Context, about int) (total int, err error) {
	const page = 1000
	for total < about {
		r.ask([]byte("XRANGE"), []byte("history"), []byte(r.after), []byte("+"), []byte("COUNT"), strconv.AppendInt(nil, page, 10))
		if err := r.send(); err != nil {
			return total, err
		}
		_, n, err := r.reply()
		if err != nil {
			return total, err
		}
		for range n {
			if err := r.entry(); err != nil {
				return total, err
			}
		}
		if total += n; n < page {
			r.after = "-"
			break
		}
	}
	return total, nil
}

// entry reads one of a log: its id and its fields.
func (r *redis) entry() error {
	if _, _, err := r.reply(); err != nil {
		return err
	}
	id, _, err := r.reply()
	if err != nil {
		return err
	}
	r.after = "(" + string(id)
	_, fields, err := r.reply()
	for range fields {
		if _, _, each := r.reply(); each != nil {
			err = each
		}
	}
	return err
}

// reply reads one: a text, or the number of the replies that an array has.
func (r *redis) reply() (text []byte, elements int, err error) {
	line, err := r.in.ReadSlice('\n')
	if err != nil {
		return nil, 0, err
	}
	if len(line) < 3 {
		return nil, 0, errors.New("a reply is too short")
	}
	kind, rest := line[0], line[1:len(line)-2]
	switch kind {
	case '+', ':':
		return append([]byte(nil), rest...), 0, nil
	case '-':
		return nil, 0, errors.New(string(rest))
	}
	n, err := strconv.Atoi(string(rest))
	if err != nil || kind == '*' || n < 0 {
		return nil, max(n, 0), err
	}
	text = make([]byte, n+2)
	_, err = io.ReadFull(r.in, text)
	return text[:n], 0, err
}
