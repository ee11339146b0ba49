package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"
)

// daemonRun runs the daemon's program in this process: what is asked of it starts nothing.
func daemonRun(t *testing.T, environ []string, args ...string) (code int, out, err string) {
	t.Helper()
	var stdout, stderr strings.Builder
	root := newRoot(&process{}, environ)
	root.SetArgs(args)
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	if e := root.ExecuteContext(t.Context()); e != nil {
		return exitCode(e), stdout.String(), stderr.String() + e.Error()
	}
	return exitOK, stdout.String(), stderr.String()
}

// TestCheckConfig: what a start would refuse is refused with its exit code, and nothing is made.
func TestCheckConfig(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{"file": "", "foreign/thesis.doc": "", "token": "s3cret", "empty": "", "config.yaml": "cache-mb: 100\n", "bad.yaml": "cash-mb: 100\n", "cert.pem": "x", "tabs.yaml": "\tcache-mb: 1\n"} { // any order
		if err := os.MkdirAll(filepath.Dir(in(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(in(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		environ []string
		args    string
		code    int
		says    string
	}{
		{nil, "--data-dir=" + in("new/data"), exitOK, ""},
		{nil, "--use-memory", exitOK, ""},
		{nil, "--data-dir=" + in("new") + " --config=" + in("config.yaml"), exitOK, ""},
		{[]string{"STATEHOUSE_CACHE_MB=x"}, "", exitUsage, `STATEHOUSE_CACHE_MB: "x" is not a whole number`},
		{nil, "--config=" + in("bad.yaml"), exitUsage, `there is no setting "cash-mb"`},
		{nil, "--config=" + in("tabs.yaml"), exitUsage, "starts with a tab"},
		{nil, "--config=" + in("none.yaml"), exitUsage, "cannot be read"},
		{nil, "--tls-cert=" + in("cert.pem") + " --tls-key=" + in("cert.pem"), exitUsage, "cannot be loaded"},
		{nil, "--token-file=" + in("empty"), exitUsage, "is empty"},
		{nil, "--listen-addr=0.0.0.0:1", exitUsage, "can be reached from other machines"},
		{nil, "--http-listen-addr=localhost:1 --http-allowed-hosts=a.example,b.example --data-dir=" + in("new"), exitOK, ""},
		{nil, "--http-listen-addr=0.0.0.0:1", exitUsage, "0.0.0.0:1 can be reached from other machines: give --tls-cert, --tls-key and --token-file"},
		{nil, "--http-listen-addr=x", exitUsage, `--http-listen-addr "x" is not host:port`},
		{nil, "--http-listen-addr=http://localhost:1", exitUsage, "has a scheme"},
		{nil, "--http-allowed-hosts=a.example", exitUsage, "needs --http-listen-addr"},
		{nil, "--http-listen-addr=localhost:1 --http-allowed-hosts=*", exitUsage, "no name of a host"},
		{nil, "--http-listen-addr=localhost:1 --http-allowed-hosts=https://a.example", exitUsage, "no name of a host"},
		{nil, "--listen-addr=x", exitUsage, "is not host:port"},
		{nil, "--memory-limit-mb=1", exitUsage, "--memory-limit-mb must be at least"},
		{nil, "--data-dir=" + in("file"), exitDataDir, "is a file"},
		{nil, "--data-dir=" + in("file/below"), exitDataDir, ""},
		{nil, "--data-dir=" + in("foreign"), exitDataDir, `"thesis.doc"`},
		{nil, "--must-exist --data-dir=" + in("new"), exitDataDir, "does not exist"},
		{nil, "--capture-dir=" + in("file") + " --data-dir=" + in("new"), exitDataDir, "is a file"},
	} {
		before := listing(t, dir)
		code, out, err := daemonRun(t, c.environ, append(strings.Fields(c.args), "--check-config")...)
		if code != c.code || !strings.Contains(err, c.says) || (code == exitOK) != strings.HasPrefix(out, "the configuration is right") {
			t.Errorf("%v %s: exit code %d, %s%s", c.environ, c.args, code, out, err)
		}
		if after := listing(t, dir); after != before {
			t.Errorf("%s made something: %s", c.args, after)
		}
	}
	if os.Getuid() != 0 { // who may write everywhere
		if err := os.Mkdir(in("closed"), 0o500); err != nil {
			t.Fatal(err)
		}
		if code, _, err := daemonRun(t, nil, "--check-config", "--data-dir", in("closed/data")); code != exitDataDir || !strings.Contains(err, "not writable") {
			t.Errorf("exit code %d, %s", code, err)
		}
	}
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		names = append(names, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

// TestPrintConfig: it can be fed back and then says the same, it says where each setting is
// from, and no secret.
func TestPrintConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("cache-mb: 77\ntoken: s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := daemonRun(t, []string{"STATEHOUSE_MAX_STREAMS=50", "STATEHOUSE_MAX_TX_TIMEOUT=90m"}, "--print-config", "--config", file, "--memory-limit-mb", "1024", "--data-dir", "a: #b")
	if code != exitOK || errs != "" {
		t.Fatalf("exit code %d, %s", code, errs)
	}
	for _, want := range []string{
		"\ncache-mb: 77 # " + file + "\n", "\nmax-streams: 50 # STATEHOUSE_MAX_STREAMS\n", "\nmemory-limit-mb: 1024 # --memory-limit-mb\n", "\nmax-tx-timeout: 1h30m0s # STATEHOUSE_MAX_TX_TIMEOUT\n",
		"\nmax-requests: 1024 # default\n", "# fits --memory-limit-mb\n", "\n# token: (hidden)  # " + file + "\n", "\ndata-dir: 'a: #b' # --data-dir\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(out, "s3cret") || strings.Contains(out, "print-config") || t.Failed() {
		t.Fatal(out)
	}
	again := filepath.Join(t.TempDir(), "again.yaml")
	if err := os.WriteFile(again, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	code, second, errs := daemonRun(t, nil, "--print-config", "--config", again)
	if code != exitOK {
		t.Fatalf("exit code %d, %s", code, errs)
	}
	var one, two map[string]any
	if err := yaml.Unmarshal([]byte(out), &one); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(second), &two); err != nil || !maps.Equal(one, two) || len(one) < 30 {
		t.Errorf("%v, fed back it is\n%s\nand was\n%s", err, second, out)
	}
}

// TestExampleConfig: the example has every setting, at its default where it is not a comment,
// and nothing else. Settings that are not to be in a file are named here.
func TestExampleConfig(t *testing.T) {
	const path = "../../deploy/statehouse.yaml"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s settings
	f := pflag.NewFlagSet("statehoused", pflag.ContinueOnError)
	s.register(f)
	given, err := readConfig(path, f)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := map[string]bool{"token": true, "accept-missing-witness": true}
	f.VisitAll(func(flag *pflag.Flag) {
		_, is := given[flag.Name]
		if !isSetting(flag.Name) || elsewhere[flag.Name] || is || strings.Contains(string(text), "\n# "+flag.Name+": ") {
			return
		}
		t.Errorf("%s lacks a line, such as\n\n# %s.\n# %s: %s", path, flag.Usage, flag.Name, flag.DefValue)
	})
	for line := range strings.Lines(string(text)) { // what is commented out is of a setting, too
		name, value, _ := strings.Cut(strings.TrimPrefix(line, "# "), ": ")
		if !strings.HasPrefix(line, "# ") || strings.Contains(name, " ") || strings.TrimSpace(value) == "" {
			continue
		}
		if flag := f.Lookup(name); flag == nil || !isSetting(name) || f.Set(name, strings.TrimSpace(value)) != nil {
			t.Errorf("%s: %q is no setting that can be taken in", path, line)
		}
	}
	if code, _, err := daemonRun(t, nil, "--print-config", "--config", path); code != exitOK {
		t.Errorf("exit code %d, %s", code, err)
	}
}
