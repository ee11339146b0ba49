package rivals

import (
	"context"
	"errors"
	"math"
	"net"
	"regexp"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"

	"statehouse.dev/statehouse/cmd/statehouse-bench/child"
)

// startEtcd starts one node, which syncs what it answers.
func startEtcd(ctx context.Context, dir string) (*child.Process, dialer, error) {
	path, err := find("etcd", "etcd-server")
	if err != nil {
		return nil, nil, err
	}
	var urls [2]string
	for i := range urls {
		port, err := child.FreePort()
		if err != nil {
			return nil, nil, err
		}
		urls[i] = net.JoinHostPort("127.0.0.1", port)
	}
	p, err := child.Start(ctx, child.Command{
		Path: path, Dir: dir, Ready: regexp.MustCompile("serving (insecure )?client (requests|traffic)|serving insecure client"),
		Args: []string{
			"--data-dir", dir, "--name", "bench", "--initial-cluster", "bench=http://" + urls[1],
			"--listen-client-urls", "http://" + urls[0], "--advertise-client-urls", "http://" + urls[0],
			"--listen-peer-urls", "http://" + urls[1], "--initial-advertise-peer-urls", "http://" + urls[1], "--quota-backend-bytes", "8589934592",
		},
	})
	if err != nil {
		return nil, nil, err
	}
	conns, next := make([]*grpc.ClientConn, 4), 0 // shared, as a client of etcd is
	return p, func(ctx context.Context) (driver, error) {
		i := next % len(conns)
		next++
		if conns[i] == nil {
			if conns[i], err = grpc.NewClient("passthrough:///"+urls[0], grpc.WithNoProxy(), grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32))); err != nil {
				return nil, err
			}
		}
		return &etcd{conn: conns[i]}, nil
	}, nil
}

// etcd speaks its API, whose messages are encoded and decoded here:
// https://etcd.io/docs/latest/dev-guide/api_reference_v3/
type etcd struct {
	conn  *grpc.ClientConn
	watch grpc.ClientStream // of the history, from its beginning
	end   context.CancelFunc
	left  int // events of it that are not yet read
}

func (e *etcd) close() {
	if e.end != nil {
		e.end()
	}
	_ = e.conn.Close() // by the first of those who share it
}

// frames is a codec that leaves messages as they are.
type frames struct{}

func (frames) Name() string                  { return "proto" }
func (frames) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (frames) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func (e *etcd) call(ctx context.Context, method string, req []byte) (resp []byte, err error) {
	err = e.conn.Invoke(ctx, "/etcdserverpb.KV/"+method, &req, &resp, grpc.ForceCodec(frames{}))
	return resp, err
}

func field(b []byte, n protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
}

func number(b []byte, n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
}

// each calls f with every field of a message: what it holds, or the number.
func each(b []byte, f func(n protowire.Number, v []byte, x uint64)) error {
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		var v []byte
		var x uint64
		switch kind {
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			x, size = protowire.ConsumeVarint(b)
		default:
			size = protowire.ConsumeFieldValue(n, kind, b)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		f(n, v, x)
	}
	return nil
}

func (e *etcd) read(ctx context.Context, key string) (value []byte, err error) {
	resp, err := e.call(ctx, "Range", field(nil, 1, []byte(key)))
	if err != nil {
		return nil, err
	}
	var inner error
	err = each(resp, func(n protowire.Number, kv []byte, _ uint64) {
		if n == 2 {
			inner = each(kv, func(n protowire.Number, v []byte, _ uint64) {
				if n == 5 {
					value = v
				}
			})
		}
	})
	return value, errors.Join(err, inner)
}

// The log is its own: of every write, under keys that begin so.
const etcdHistory = "history/"

func (e *etcd) commit(ctx context.Context, records []record, history bool) error {
	var puts [][]byte
	for _, w := range records {
		key := w.key
		if history {
			key = etcdHistory + key
		}
		puts = append(puts, field(field(nil, 1, []byte(key)), 2, w.value))
	}
	if len(puts) == 1 {
		_, err := e.call(ctx, "Put", puts[0])
		return err
	}
	// A transaction writes no key twice: batches are of successive ones.
	var txn []byte
	for _, put := range puts {
		txn = field(txn, 2, field(nil, 2, put))
	}
	_, err := e.call(ctx, "Txn", txn)
	return err
}

// history goes on with the events of a watch that began at the first revision.
func (e *etcd) history(_ context.Context, about int) (n int, err error) {
	if e.left <= 0 {
		if err := e.begin(); err != nil {
			return 0, err
		}
	}
	for n < about && e.left > 0 {
		var resp []byte
		if err := e.watch.RecvMsg(&resp); err != nil {
			return n, err
		}
		events := 0
		if err := each(resp, func(f protowire.Number, _ []byte, _ uint64) {
			if f == 11 {
				events++
			}
		}); err != nil {
			return n, err
		}
		n += events
		e.left -= events
	}
	return n, nil
}

// begin opens the watch. How many events it will have is how often its keys were written.
func (e *etcd) begin() error {
	if e.end != nil {
		e.end()
	}
	ctx, cancel := context.WithCancel(context.Background())
	e.end = cancel
	end := []byte(etcdHistory)
	end[len(end)-1]++
	stretch := field(field(nil, 1, []byte(etcdHistory)), 2, end)
	resp, err := e.call(ctx, "Range", stretch)
	if err != nil {
		return err
	}
	err = each(resp, func(n protowire.Number, kv []byte, _ uint64) {
		if n == 2 {
			_ = each(kv, func(n protowire.Number, _ []byte, version uint64) { // it was whole a moment ago
				if n == 4 {
					e.left += int(version)
				}
			})
		}
	})
	if err != nil {
		return err
	}
	if e.left == 0 {
		return errors.New("etcd has no history")
	}
	if e.watch, err = e.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/etcdserverpb.Watch/Watch", grpc.ForceCodec(frames{})); err != nil {
		return err
	}
	req := field(nil, 1, number(stretch, 3, 1))
	return e.watch.SendMsg(&req)
}
