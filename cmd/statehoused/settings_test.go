package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"statehouse.dev/statehouse/server"
)

// samples are three values that a setting can have, none of which is its default.
func samples(f *pflag.Flag) [3]string {
	switch f.Value.Type() {
	case "bool":
		other := fmt.Sprint(f.DefValue != "true")
		return [3]string{other, f.DefValue, other}
	case "duration":
		return [3]string{"11m0s", "12m0s", "13m0s"}
	case "int", "uint64", "int64":
		return [3]string{"1011", "1012", "1013"}
	}
	return [3]string{"from-file", "from-env", "from-flag"}
}

// complete fills settings as the daemon does and returns them by name. What check
// says of the whole is not the matter here.
func complete(t *testing.T, file string, environ, args []string) (map[string]string, error) {
	t.Helper()
	var s settings
	f := pflag.NewFlagSet("statehoused", pflag.ContinueOnError)
	s.register(f)
	if file != "" {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	err := s.complete(f, environ)
	values := map[string]string{}
	f.VisitAll(func(f *pflag.Flag) { values[f.Name] = f.Value.String() })
	return values, err
}

// Every setting can be given in the file, the environment and as a flag; a flag
// wins over the environment, the environment over the file.
func TestPrecedence(t *testing.T) {
	var s settings
	all := pflag.NewFlagSet("statehoused", pflag.ContinueOnError)
	s.register(all)
	tried := 0
	all.VisitAll(func(f *pflag.Flag) {
		if f.Name == "config" {
			return
		}
		tried++
		v := samples(f)
		file, env, flag := f.Name+": "+v[0]+"\n", []string{"STATEHOUSE_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")) + "=" + v[1]}, []string{"--" + f.Name + "=" + v[2]}
		for _, c := range []struct {
			what      string
			file      string
			env, flag []string
			want      string
		}{
			{"nothing", "", nil, nil, f.DefValue}, {"file", file, nil, nil, v[0]}, {"env", "", env, nil, v[1]}, {"flag", "", nil, flag, v[2]},
			{"file and env", file, env, nil, v[1]}, {"file and flag", file, nil, flag, v[2]}, {"env and flag", "", env, flag, v[2]}, {"all three", file, env, flag, v[2]},
			{"file and an empty variable", file, []string{env[0][:strings.Index(env[0], "=")+1]}, nil, v[0]},
		} {
			if got, _ := complete(t, c.file, c.env, c.flag); got[f.Name] != c.want {
				t.Errorf("%s by %s: %q, want %q", f.Name, c.what, got[f.Name], c.want)
			}
		}
	})
	if tried < 20 {
		t.Errorf("%d settings: where are the others?", tried)
	}
	// The file itself can be named in the environment.
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte("data-dir: here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := complete(t, "", []string{"STATEHOUSE_CONFIG=" + path}, nil); err != nil || got["data-dir"] != "here" {
		t.Errorf("STATEHOUSE_CONFIG: %q %v", got["data-dir"], err)
	}
}

// What stands in the file is what is meant: YAML has many readings of a word.
func TestConfigFile(t *testing.T) {
	for _, c := range []struct{ file, name, want string }{
		{"token: 0123456", "token", "0123456"}, {"token: 1e5", "token", "1e5"}, {"token: 123456789012345678901234567890", "token", "123456789012345678901234567890"},
		{"token: 2026-01-02", "token", "2026-01-02"}, {"token: yes", "token", "yes"}, {"token: 'null'", "token", "null"}, {"token: 0x1F", "token", "0x1F"}, {"token: 1_000", "token", "1_000"},
		{"data-dir: 0700", "data-dir", "0700"}, {`data-dir: "a b"`, "data-dir", "a b"}, {"data-dir: |\n  x", "data-dir", "x"},
		{"max-value-bytes: 4096", "max-value-bytes", "4096"}, {"use-memory: true", "use-memory", "true"}, {"outcome-age: 1h", "outcome-age", "1h0m0s"},
		{"", "data-dir", "data"}, {"# nothing\n", "data-dir", "data"}, {"data-dir:\n", "data-dir", "data"}, {"data-dir: ~\n", "data-dir", "data"}, {"{}", "data-dir", "data"},
		{"\ufeffdata-dir: here", "data-dir", "here"}, {"data-dir: here\r\nlog-level: debug\r\n", "data-dir", "here"}, {"data-dir:\there\t\n", "data-dir", "here"},
		{"x: &x here\n", "", ""}, {"data-dir: &x here\ntls-cert: *x\ntls-key: *x", "tls-cert", "here"},
	} {
		got, err := complete(t, c.file, nil, nil)
		if c.name != "" && (err != nil || got[c.name] != c.want) {
			t.Errorf("%q: %s is %q, want %q: %v", c.file, c.name, got[c.name], c.want, err)
		}
	}
	for file, says := range map[string]string{ // independent of each other: any order
		"data-dirr: x": "data-dirr", "data_dir: x": "data_dir", "DATA-DIR: x": "DATA-DIR", "config: x": "config", "help: true": "help", "version: true": "version",
		"data-dir: [a, b]": "data-dir", "data-dir: {a: b}": "data-dir", "- a": "YAML", "a: b: c": "YAML", "just text": "YAML", "data-dir: a\ndata-dir: b": "data-dir",
		"data-dir: a\n\tlog-level: debug": "line 2 starts with a tab", "\r\n\r\n \tdata-dir: a\r\n": "line 3 starts with a tab", "data-dir: a\n---\ndata-dir: b": "more than one document",
		"token: ''": "token is empty", "tls-cert: \"\"": "tls-cert is empty",
		"max-value-bytes: many": "max-value-bytes", "max-value-bytes: 1.5": "max-value-bytes", "outcome-age: 7": "outcome-age", "use-memory: perhaps": "use-memory", "\x00": "YAML",
	} {
		if _, err := complete(t, file, nil, nil); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "config.yaml") {
			t.Errorf("%q: %v, want words about %s and the file", file, err, says)
		}
	}
}

// TestLimitsFitTheMemory: whatever --memory-limit-mb is, the limits that are not given
// fit it together, with room to spare for garbage; what is given and does not fit is
// refused, in words that name the limits and what they come to (G9).
func TestLimitsFitTheMemory(t *testing.T) {
	fit := func(args ...string) (s settings, err error) {
		f := pflag.NewFlagSet("statehoused", pflag.ContinueOnError)
		s.register(f)
		if err := f.Parse(args); err != nil {
			t.Fatal(err)
		}
		return s, s.complete(f, nil)
	}
	for mb := int64(leastMemoryMB); mb <= 8192; mb += 7 {
		s, err := fit(fmt.Sprint("--memory-limit-mb=", mb))
		if err != nil {
			t.Fatalf("%d MiB: %v", mb, err)
		}
		sum := int64(0)
		for _, share := range s.shares() {
			sum += share.bytes
		}
		if sum > mb*mib*9/10 || s.connections < 100 || s.streams < 100 || s.limits.StagedBytes < 2*s.limits.TxnBytes || s.unsentMB*mib < 2*server.MaxAnswerBytes {
			t.Errorf("%d MiB: the limits come to %d: %v", mb, sum/mib, s.shares())
		}
	}
	given, err := fit("--memory-limit-mb=512", "--cache-mb=100", "--max-connections=1000", "--max-staged-bytes=50000000", "--max-unsent-mb=50", "--max-streams=500", "--cached-versions=1000")
	if err != nil || given.cacheMB != 100 || given.connections != 1000 || given.limits.StagedBytes != 50_000_000 || given.unsentMB != 50 || given.streams != 500 || given.limits.CachedVersions != 1000 {
		t.Errorf("what is given counts: %+v, %v", given, err)
	}
	for _, c := range []struct{ args, says string }{
		{"--memory-limit-mb=512 --cache-mb=400", "--cache-mb 400 MiB"}, {"--cache-mb=2000", "--memory-limit-mb is 2048"}, {"--max-staged-bytes=2000000000", "--max-staged-bytes"},
		{"--max-unsent-mb=1500", "--max-unsent-mb"}, {"--max-connections=100000", "--max-connections"}, {"--max-streams=9000", "--max-unsent-mb 256 has room for 8192 streams"},
		{"--max-requests=1000000", "--max-requests"}, {"--cached-versions=10000000", "--cached-versions"}, {"--memory-limit-mb=319", "at least 320"},
	} {
		if _, err := fit(strings.Fields(c.args)...); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want words about %q", c.args, err, c.says)
		}
	}
}

// A setting that cannot be honoured is refused in words that name it, wherever it
// came from.
func TestSettingsRefused(t *testing.T) {
	var s settings
	all := pflag.NewFlagSet("statehoused", pflag.ContinueOnError)
	s.register(all)
	all.VisitAll(func(f *pflag.Flag) {
		if f.Value.Type() == "string" || f.Value.Type() == "bool" {
			return
		}
		for _, bad := range []string{"0", "-1", "x"} {
			name := envName(f.Name)
			if _, err := complete(t, "", []string{name + "=" + bad}, nil); err == nil || !strings.Contains(err.Error(), name) && !strings.Contains(err.Error(), f.Name) {
				t.Errorf("%s=%s: %v", name, bad, err)
			}
		}
	})
	for _, c := range []struct{ says, args string }{
		{"--tls-key", "--tls-cert=x"}, {"--tls-cert", "--tls-key=x"}, {"not both", "--token=x --token-file=y"}, {"cannot be read", "--token-file=/nowhere/at/all"},
		{"--tx-timeout-ms", "--tx-timeout-ms=3600001"}, {"--log-format", "--log-format=xml"}, {"--data-dir", "--data-dir="},
		// No event may be larger than a message: it could never be replayed.
		{"--max-tx-bytes", "--max-tx-bytes=8388608"}, {"--max-tx-bytes", "--max-tx-operations=1000000"}, {"--max-tx-bytes", "--max-metadata-bytes=4194304"},
		{"--max-value-bytes", "--max-value-bytes=4194304"},
	} {
		if _, err := complete(t, "", nil, strings.Fields(c.args)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want words about %s", c.args, err, c.says)
		}
	}
	for _, args := range []string{"", "--use-memory --data-dir=", "--tx-timeout-ms=3600000", "--max-value-bytes=3670016", "--max-tx-operations=5000", "--max-tx-bytes=1048576"} {
		if _, err := complete(t, "", nil, strings.Fields(args)); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// A token that no header can carry would lock every client out: it is refused, with
// the reason. What editors put round one is taken off.
func TestTokenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	for text, says := range map[string]string{ // any order
		"s3cret": "", "s3cret\n": "", "s3cret\r\n": "", "\ufeffs3cret\r\n": "", "  s3cret\t\n\n": "", "!~\"\\": "", strings.Repeat("x", 8<<10): "",
		" \n": "is empty", "": "is empty", "\ufeff": "is empty", "two words": "a space at byte 3", "a\tb": "a tab", "one\ntwo\n": "a line break at byte 3", "one\r\ntwo": "a line break",
		"schl\u00fcssel": "'\u00fc' at byte 4", "a\x00b\x00": "a zero byte (is it UTF-16?)", "\xff\xfes\x003\x00": "a byte that is not UTF-8 at byte 0", "a\x1b[0m": "'\\x1b'",
		"a\u00a0b": "'\\u00a0'", "a\u200bb": "'\\u200b'", "a\x7f": "'\\x7f'", "a\ufeffb": "'\\ufeff'", strings.Repeat("x", 8<<10+1): "at most 8192",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := complete(t, "", nil, []string{"--token-file", file})
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), file)) {
			t.Errorf("%.20q: %v, want words about %q", text, err, says)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%.20q: the message tells the token: %v", text, err)
		}
	}
}

// Variables of deployments older than this daemon count or are warned about, and so is
// what looks like a setting and is none.
func TestFormerVariables(t *testing.T) {
	warned := func(environ ...string) (*settings, string) {
		t.Helper()
		var s settings
		f := pflag.NewFlagSet("statehoused", pflag.ContinueOnError)
		s.register(f)
		if err := s.complete(f, environ); err != nil {
			t.Fatal(err)
		}
		return &s, strings.Join(s.warnings, "\n")
	}
	if s, says := warned("STATEHOUSE_ADDR=127.0.0.1:7"); s.listenAddr != "127.0.0.1:7" || !strings.Contains(says, "STATEHOUSE_LISTEN_ADDR") {
		t.Errorf("STATEHOUSE_ADDR: %s %q", s.listenAddr, says)
	}
	if s, says := warned("STATEHOUSE_ADDR=127.0.0.1:7", "STATEHOUSE_LISTEN_ADDR=127.0.0.1:8"); s.listenAddr != "127.0.0.1:8" || says != "" {
		t.Errorf("both: %s %q", s.listenAddr, says)
	}
	for environ, word := range map[string]string{ // any order
		"RUST_LOG=debug": "STATEHOUSE_LOG_LEVEL", "STATEHOUSE_AUTH_TOKEN=x": "set STATEHOUSE_TOKEN", "STATEHOUSE_FSYNC=0": "STATEHOUSE_FSYNC_ON_COMMIT",
		"STATEHOUSE_DATADIR=x": "STATEHOUSE_DATADIR is no setting",
		"STATEHOUSE_DATADIR=":  "", "STATEHOUSE_NAMESPACE=x": "", "STATEHOUSE_ADDRESS=x": "", "STATEHOUSE_DATA_DIR=x": "", "HOME=x": "",
	} {
		if _, says := warned(environ); (word == "") != (says == "") || !strings.Contains(says, word) {
			t.Errorf("%s: %q", environ, says)
		}
	}
}
