package rivals

import (
	"bufio"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Each rival that is installed does what is measured of it, and what it says is true: what
// was committed is read, and a history has every entry once.
func TestRivals(t *testing.T) {
	for _, name := range All {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for d := dir; strings.HasPrefix(d, os.TempDir()+"/"); d = filepath.Dir(d) {
				_ = os.Chmod(d, 0o755) // one of them is not run by root
			}
			values := [][]byte{[]byte(`{"value":1}`)}
			r, err := Start(t.Context(), name, dir, values)
			if err != nil {
				t.Skip(err)
			}
			defer r.End()
			if err := r.Prepare(t.Context(), 200, 1234); err != nil {
				t.Fatal(err)
			}
			target := r.Target(Names{Read: "read", Commit: "commit", Batch: "batch", History: "history"})
			for op, want := range map[string]int{"read": 1, "commit": 1, "batch": 100} { // order cannot matter
				for client := range 3 {
					if n, err := target.Ops[op](t.Context(), client, 0); err != nil || n != want {
						t.Errorf("%s: %d, %v", op, n, err)
					}
				}
			}
			for range 2 {
				if n, err := target.Ops["history"](t.Context(), 0, 0); err != nil || n != 1234 && n != 1235 { // NATS counts an answer, too
					t.Errorf("history: %d, %v", n, err)
				}
			}
			checkDriver(t, r)
			if cpu, err := target.CPU(); err != nil || cpu <= 0 {
				t.Errorf("processor time: %v, %v", cpu, err)
			}
		})
	}
}

func checkDriver(t *testing.T, r *Rival) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	d, err := r.dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	for _, value := range []string{`{"a":"first"}`, `{"a":"second"}`} {
		if err := d.commit(ctx, []record{{"txn-" + value[6:8], "agent-000/other", []byte(value)}}, false); err != nil {
			t.Fatal(err)
		}
		if got, err := d.read(ctx, "agent-000/other"); err != nil || string(got) != value {
			t.Errorf("read %q, %v after %q was written", got, err, value)
		}
	}
}

// A rival that is not installed is named with the package that has it.
func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := find("redis-server", "redis-server"); err == nil || err.Error() != "redis-server is not installed (Debian: apt install redis-server)" {
		t.Errorf("%v", err)
	}
}

func TestRESP(t *testing.T) {
	r := &redis{in: bufio.NewReader(strings.NewReader("+OK\r\n:5\r\n$3\r\na\r\n\r\n*2\r\n$-1\r\n-ERR no\r\n$9\r\ncut"))}
	for _, want := range []string{"OK", "5", "a\r\n"} {
		if text, _, err := r.reply(); err != nil || string(text) != want {
			t.Errorf("%q %v, want %q", text, err, want)
		}
	}
	if _, n, err := r.reply(); n != 2 || err != nil {
		t.Errorf("an array: %d %v", n, err)
	}
	if text, _, err := r.reply(); text != nil || err != nil {
		t.Errorf("null: %q %v", text, err)
	}
	if _, _, err := r.reply(); err == nil || err.Error() != "ERR no" {
		t.Errorf("an error: %v", err)
	}
	if _, _, err := r.reply(); err == nil {
		t.Error("a reply that is cut short was read")
	}
}

func TestPostgresRows(t *testing.T) {
	row := []byte{0, 2}
	for _, column := range []string{"ab", ""} {
		row = append(binary.BigEndian.AppendUint32(row, uint32(len(column))), column...)
	}
	var a, b, c []byte
	if err := columns(row, &a, &b); err != nil || string(a) != "ab" || len(b) != 0 {
		t.Errorf("%q %q %v", a, b, err)
	}
	if columns(row, &a, &b, &c) == nil || columns(row[:7], &a) == nil || columns([]byte{0, 1, 255, 255, 255, 255}, &a) == nil || columns(nil, &a) == nil {
		t.Error("a row that lacks a column was read")
	}
}

func TestFields(t *testing.T) {
	b := number(field(nil, 2, []byte("x")), 4, 300)
	b = protowire.AppendFixed64(protowire.AppendTag(b, 7, protowire.Fixed64Type), 1)
	var got []string
	err := each(b, func(n protowire.Number, v []byte, x uint64) {
		got = append(got, string(v))
		if n == 4 && x != 300 {
			t.Errorf("%d", x)
		}
	})
	if err != nil || !slices.Equal(got, []string{"x", "", ""}) {
		t.Errorf("%q %v", got, err)
	}
	if each(b[:len(b)-1], func(protowire.Number, []byte, uint64) {}) == nil {
		t.Error("a message that is cut short was read")
	}
}
