package rivals

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"statehouse.dev/statehouse/cmd/statehouse-bench/child"
)

// startNATS starts a server with JetStream that syncs each message before it is answered,
// which servers do from 2.10 on. A stream is a log and, by the last message of a subject,
// its records.
func startNATS(ctx context.Context, dir string) (*child.Process, dialer, error) {
	path, err := find("nats-server", "nats-server", "/usr/sbin/nats-server")
	if err != nil {
		return nil, nil, err
	}
	if err := syncsAlways(ctx, path); err != nil {
		return nil, nil, err
	}
	port, err := child.FreePort()
	if err != nil {
		return nil, nil, err
	}
	config := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf("listen: \"127.0.0.1:%s\"\njetstream { store_dir: %q, sync_interval: always }\n", port, dir)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, nil, err
	}
	p, err := child.Start(ctx, child.Command{Path: path, Dir: dir, Args: []string{"-c", config}, Ready: regexp.MustCompile("Server is ready")})
	if err != nil {
		return nil, nil, err
	}
	dial := func(ctx context.Context) (driver, error) { return dialNATS(ctx, port) }
	if err := makeStreams(ctx, dial); err != nil {
		p.End()
		return nil, nil, err
	}
	return p, dial, nil
}

func syncsAlways(ctx context.Context, path string) error {
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return err
	}
	version := regexp.MustCompile(`v(\d+)\.(\d+)`).FindSubmatch(out)
	if version == nil {
		return fmt.Errorf("nats-server tells no version but %q", out)
	}
	major, _ := strconv.Atoi(string(version[1])) // digits
	minor, _ := strconv.Atoi(string(version[2]))
	if major < 2 || major == 2 && minor < 10 {
		return fmt.Errorf("%s cannot sync every answer: 2.10 and later can", strings.TrimSpace(string(out)))
	}
	return nil
}

const (
	natsRecords = "RECORDS"
	natsHistory = "HISTORY"
)

func makeStreams(ctx context.Context, dial dialer) error {
	d, err := dial(ctx)
	if err != nil {
		return err
	}
	defer d.close()
	for _, stream := range []string{natsRecords, natsHistory} {
		_, err := d.(*nats).ask("$JS.API.STREAM.CREATE."+stream, fmt.Appendf(nil, `{"name":%q,"subjects":["%s.>"],"storage":"file","allow_direct":true}`, stream, stream))
		if err != nil {
			return err
		}
	}
	return nil
}

// nats speaks the client protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol
type nats struct {
	conn  net.Conn
	in    *bufio.Reader
	inbox string
	out   []byte
	left  int // messages of the history that are still to come
	round int // how often it was read
}

func dialNATS(ctx context.Context, port string) (driver, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, err
	}
	n := &nats{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), inbox: "_INBOX." + conn.LocalAddr().(*net.TCPAddr).AddrPort().String()}
	n.inbox = strings.NewReplacer(":", "-", "127.0.0.1", "bench").Replace(n.inbox)
	n.out = fmt.Appendf(n.out, "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\nSUB %s 1\r\n", n.inbox)
	return n, n.send()
}

func (n *nats) close() { _ = n.conn.Close() } // nothing is under way

func (n *nats) send() error {
	_, err := n.conn.Write(n.out)
	n.out = n.out[:0]
	return err
}

// publish adds a message, answered to the inbox, to what is sent next.
func (n *nats) publish(subject string, text []byte) {
	n.out = fmt.Appendf(n.out, "PUB %s %s %d\r\n", subject, n.inbox, len(text))
	n.out = append(append(n.out, text...), "\r\n"...)
}

// message reads the next.
func (n *nats) message() (header, text []byte, err error) {
	for {
		line, err := n.in.ReadString('\n')
		if err != nil {
			return nil, nil, err
		}
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "INFO" || words[0] == "PONG" || words[0] == "+OK":
			continue
		case words[0] == "PING":
			n.out = append(n.out, "PONG\r\n"...)
			if err := n.send(); err != nil {
				return nil, nil, err
			}
			continue
		case words[0] != "MSG" && words[0] != "HMSG" || len(words) < 4:
			return nil, nil, errors.New(strings.TrimSpace(line))
		}
		whole, err := strconv.Atoi(words[len(words)-1])
		if err != nil {
			return nil, nil, err
		}
		headed := 0
		if words[0] == "HMSG" {
			if headed, err = strconv.Atoi(words[len(words)-2]); err != nil {
				return nil, nil, err
			}
		}
		text = make([]byte, whole+2)
		if _, err := io.ReadFull(n.in, text); err != nil {
			return nil, nil, err
		}
		return text[:headed], text[headed:whole], nil
	}
}

// ask asks JetStream and fails if it refuses.
func (n *nats) ask(subject string, req []byte) ([]byte, error) {
	n.publish(subject, req)
	if err := n.send(); err != nil {
		return nil, err
	}
	return n.acknowledged()
}

func (n *nats) acknowledged() ([]byte, error) {
	header, text, err := n.message()
	if err == nil && len(header) > 0 {
		err = errors.New(string(header))
	}
	if err == nil && bytes.Contains(text, []byte(`"error"`)) {
		err = errors.New(string(text))
	}
	return text, err
}

func (n *nats) read(_ context.Context, key string) ([]byte, error) {
	n.publish("$JS.API.DIRECT.GET."+natsRecords+"."+natsRecords+"."+key, nil)
	if err := n.send(); err != nil {
		return nil, err
	}
	_, text, err := n.message()
	return text, err
}

// commit publishes all at once. More than one are no transaction: a crash may keep a part.
func (n *nats) commit(_ context.Context, records []record, history bool) error {
	stream := natsRecords
	if history {
		stream = natsHistory
	}
	for _, w := range records {
		n.out = fmt.Appendf(n.out, "HPUB %s.%s %s %d %d\r\n", stream, w.key, n.inbox, len(natsID)+len(w.txn)+4, len(natsID)+len(w.txn)+4+len(w.value))
		n.out = append(append(append(n.out, natsID...), w.txn...), "\r\n\r\n"...)
		n.out = append(append(n.out, w.value...), "\r\n"...)
	}
	if err := n.send(); err != nil {
		return err
	}
	for range records {
		if _, err := n.acknowledged(); err != nil {
			return err
		}
	}
	return nil
}

// natsID is the header that names a message, so that one sent again is kept once.
const natsID = "NATS/1.0\r\nNats-Msg-Id: "

// history goes on with what is pushed to a consumer that began with the first message.
func (n *nats) history(_ context.Context, about int) (total int, err error) {
	if n.left == 0 {
		if err := n.begin(); err != nil {
			return 0, err
		}
	}
	for total < about && n.left > 0 {
		if _, _, err := n.message(); err != nil {
			return total, err
		}
		total++
		n.left--
	}
	return total, nil
}

func (n *nats) begin() error {
	text, err := n.ask("$JS.API.STREAM.INFO."+natsHistory, nil)
	if err != nil {
		return err
	}
	var info struct {
		State struct{ Messages int }
	}
	if err := json.Unmarshal(text, &info); err != nil {
		return err
	}
	if n.left = info.State.Messages; n.left == 0 {
		return errors.New("NATS has no history")
	}
	n.round++
	if n.round > 1 {
		n.out = fmt.Appendf(n.out, "UNSUB %d\r\n", n.round)
	}
	inbox := fmt.Sprintf("%s-history-%d", n.inbox, n.round)
	n.out = fmt.Appendf(n.out, "SUB %s %d\r\n", inbox, n.round+1)
	config := fmt.Appendf(nil, `{"stream_name":%q,"config":{"deliver_subject":%q,"deliver_policy":"all","ack_policy":"none","replay_policy":"instant","mem_storage":true}}`, natsHistory, inbox)
	n.publish("$JS.API.CONSUMER.CREATE."+natsHistory, config)
	n.left++ // the answer, which may come after the first of them
	return n.send()
}
