package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/bundle"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"statehousectl": main})
}

// TestScripts runs testdata/*.txtar against this tool's real main and a real
// statehoused, which with statehouse-bench is in PATH. Beside the usual commands scripts have
//
//	daemon [FLAG...]           start statehoused; its address goes to STATEHOUSE_ADDRESS
//	kill-daemon                kill -9, and wait for the end
//	certificate CERT KEY       make a self-signed certificate for 127.0.0.1
//	unbundle FILE DIR          open and verify a bundle, and write what is in it to DIR
//	until-interrupt RE CMD...  run CMD until a line of its output matches, send SIGINT
//	                           then; it must exit with 0; what it printed is in the file printed
func TestScripts(t *testing.T) {
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "grpcnotrace", "-o", bin+"/", "statehouse.dev/statehouse/cmd/statehoused", "statehouse.dev/statehouse/cmd/statehouse-bench")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the daemon: %v\n%s", err, out)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("TZ", "UTC")
			e.Setenv("COLUMNS", "100")
			e.Setenv("GORACE", "atexit_sleep_ms=10") // a second for each command otherwise
			e.Setenv("PATH", e.Getenv("PATH")+string(os.PathListSeparator)+bin)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			e.Setenv("PEER", l.Addr().String()) // where a member of a cluster can listen
			if err := l.Close(); err != nil {
				return err
			}
			e.Values[daemonKey{}] = &daemon{bin: filepath.Join(bin, "statehoused")}
			return nil
		},
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"daemon":          func(ts *testscript.TestScript, _ bool, args []string) { daemonOf(ts).start(ts, args) },
			"kill-daemon":     func(ts *testscript.TestScript, _ bool, _ []string) { daemonOf(ts).kill() },
			"certificate":     certificate,
			"unbundle":        unbundle,
			"until-interrupt": untilInterrupt,
		},
	})
}

// daemon is the one that a script has running.
type daemon struct {
	bin   string
	cmd   *exec.Cmd
	ended chan struct{}
}

type daemonKey struct{}

func daemonOf(ts *testscript.TestScript) *daemon { return ts.Value(daemonKey{}).(*daemon) }

func (d *daemon) start(ts *testscript.TestScript, args []string) {
	d.cmd = exec.Command(d.bin, append([]string{"--listen-addr", "127.0.0.1:0", "--disk-reserve-mb", "1"}, args...)...)
	d.cmd.Dir, d.cmd.Env = ts.MkAbs("."), environment()
	log, err := d.cmd.StderrPipe()
	ts.Check(err)
	ts.Check(d.cmd.Start())
	d.ended = make(chan struct{})
	ts.Defer(d.kill)
	lines := bufio.NewScanner(log)
	listening := regexp.MustCompile(`msg=listening address=(\S+)`)
	for address := ""; address == ""; {
		if !lines.Scan() {
			close(d.ended)
			ts.Fatalf("the daemon ended before it listened")
		}
		ts.Logf("%s", lines.Text())
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			address = m[1]
			ts.Setenv("STATEHOUSE_ADDRESS", address)
		}
	}
	go func(cmd *exec.Cmd, ended chan struct{}) {
		for lines.Scan() { // a full pipe would stop it
		}
		_ = cmd.Wait() // killed
		close(ended)
	}(d.cmd, d.ended)
}

// environment is that of whoever runs the tests, without what they have set for daemons and
// tools of their own.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "STATEHOUSE_") })
}

func (d *daemon) kill() {
	_ = d.cmd.Process.Kill() // it may be gone
	<-d.ended
}

func certificate(ts *testscript.TestScript, _ bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	ts.Check(err)
	keyText, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyText}), 0o600))
}

func unbundle(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	b, err := bundle.Open(strings.NewReader(text), int64(len(text)), 0)
	ts.Check(err)
	v, err := b.Verify()
	ts.Check(err)
	if len(v.Findings) > 0 {
		ts.Fatalf("%v", v.Findings)
	}
	manifest, err := json.Marshal(b.Manifest)
	ts.Check(err)
	dir := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(os.WriteFile(filepath.Join(dir, "manifest.json"), manifest, 0o644))
	for _, m := range b.Manifest.Members {
		in, err := b.Member(m.Name)
		ts.Check(err)
		text, err := io.ReadAll(in)
		ts.Check(err)
		_, err = history.ReadHistory(bytes.NewReader(text))
		ts.Check(err)
		ts.Check(os.WriteFile(filepath.Join(dir, m.Name), text, 0o644))
	}
}

func untilInterrupt(ts *testscript.TestScript, _ bool, args []string) {
	wanted, err := regexp.Compile(args[0])
	ts.Check(err)
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	cmd := exec.Command(path, args[2:]...)
	cmd.Env = append(environment(), "COLUMNS=100", "TZ=UTC", "STATEHOUSE_ADDRESS="+ts.Getenv("STATEHOUSE_ADDRESS"))
	cmd.Stderr = ts.Stderr()
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	if signal.Ignored(os.Interrupt) { // by a runner in the background, and so by what it starts
		heard := make(chan os.Signal, 1)
		signal.Notify(heard, os.Interrupt) // what this process handles its children begin with as it is by default
		defer signal.Stop(heard)
	}
	ts.Check(cmd.Start())
	lines, seen := bufio.NewScanner(out), false
	var all bytes.Buffer
	for lines.Scan() {
		fmt.Fprintln(&all, lines.Text())
		ts.Logf("%s", lines.Text())
		if !seen && wanted.MatchString(lines.Text()) {
			seen = true
			ts.Check(cmd.Process.Signal(os.Interrupt))
		}
	}
	ts.Check(cmd.Wait())
	ts.Check(os.WriteFile(ts.MkAbs("printed"), all.Bytes(), 0o600))
	if !seen {
		ts.Fatalf("no line matched %s", wanted)
	}
}
