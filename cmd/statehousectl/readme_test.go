package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestReadme does what the README's session says, with the real programs, and holds that
// they print what stands there. Then it holds docs/FORMAT.md to what is in the
// directory.
func TestReadme(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	buildInto(t, bin)
	s := newReadmeSession(t, dir, bin)
	defer func() { s.stop(syscall.SIGKILL) }()
	s.run(readmeSteps(t))
	if s.ran < 8 {
		t.Errorf("%d commands were run: where is the session?", s.ran)
	}

	var found []string
	entries, err := os.ReadDir(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		found = append(found, name)
	}
	if told := formatListing(t); !slices.Equal(told, found) {
		t.Errorf("docs/FORMAT.md lists %v, the directory holds %v", told, found)
	}
}

// buildInto builds the programs of the session.
func buildInto(t *testing.T, bin string) {
	t.Helper()
	for _, name := range []string{"statehoused", "statehousectl"} {
		build := exec.CommandContext(t.Context(), "go", "build", "-tags", "grpcnotrace", "-o", filepath.Join(bin, name), "statehouse.dev/statehouse/cmd/"+name)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", name, err, out)
		}
	}
}

func newReadmeSession(t *testing.T, dir, bin string) *readmeSession {
	return &readmeSession{t: t, dir: dir, env: append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "COLUMNS=120", "TZ=UTC", "STATEHOUSE_NAMESPACE=", "STATEHOUSE_TOKEN=")}
}

// readmeStep is a command of the session, what it reads, and what is printed.
type readmeStep struct{ command, stdin, output string }

func readmeSteps(t *testing.T) (steps []readmeStep) {
	t.Helper()
	return stepsUnder(t, "A session")
}

// stepsUnder are the commands under a heading of the README.
func stepsUnder(t *testing.T, heading string) (steps []readmeStep) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, session, found := strings.Cut(string(text), "\n## "+heading+"\n")
	session, _, ended := strings.Cut(session, "\n## ")
	if !found || !ended {
		t.Fatalf("the README has no %q", heading)
	}
	inside, heredoc := false, false
	for line := range strings.Lines(session) {
		last := len(steps) - 1
		switch {
		case strings.HasPrefix(line, "```"):
			inside = !inside && strings.HasPrefix(line, "```console")
		case !inside:
		case heredoc:
			if heredoc = line != "EOF\n"; heredoc {
				steps[last].stdin += line
			}
		case last >= 0 && strings.Count(steps[last].command, "'")%2 == 1: // its quote is not closed yet
			steps[last].command += "\n" + strings.TrimRight(line, "\n")
		case strings.HasPrefix(line, "$ "):
			command, _, isHeredoc := strings.Cut(strings.TrimSpace(line[2:]), " <<'EOF'")
			command, _, _ = strings.Cut(command, "  # ")
			steps, heredoc = append(steps, readmeStep{command: strings.TrimSpace(command)}), isHeredoc
		default:
			steps[last].output += line
		}
	}
	return steps
}

// readmeSession is where the session runs.
type readmeSession struct {
	t      *testing.T
	dir    string
	env    []string
	daemon *exec.Cmd
	ran    int
}

func (s *readmeSession) run(steps []readmeStep) {
	s.t.Helper()
	s.start() // what stands above the session
	for _, step := range steps {
		switch {
		case step.command == "make run":
			s.start()
		case strings.HasPrefix(step.command, "pkill -9 "):
			s.stop(syscall.SIGKILL)
		case strings.HasPrefix(step.command, "export "):
		case strings.HasPrefix(step.command, "statehoused verify "):
			s.stop(syscall.SIGTERM)
			s.check(step)
		case strings.HasPrefix(step.command, "statehousectl "):
			s.check(step)
		default:
			s.t.Errorf("the README's session has a command that this test does not know: %s", step.command)
		}
	}
}

func (s *readmeSession) check(step readmeStep) {
	s.t.Helper()
	s.ran++
	cmd := exec.CommandContext(s.t.Context(), "sh", "-c", step.command)
	cmd.Dir, cmd.Env, cmd.Stdin = s.dir, s.env, strings.NewReader(step.stdin)
	got, err := cmd.CombinedOutput()
	if refused := strings.HasPrefix(step.output, "statehousectl: "); (err != nil) != refused {
		s.t.Errorf("$ %s: %v", step.command, err)
	}
	if varying(string(got)) != varying(step.output) {
		s.t.Errorf("$ %s\nprints\n%sand not\n%s", step.command, got, step.output)
	}
}

var differs = regexp.MustCompile(`20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d+Z?|[0-9a-f]{64}|\b[0-9a-f]{12}\b`)

// varying is text without what differs from run to run.
func varying(s string) string { return differs.ReplaceAllString(s, "…") }

var (
	listensOn    = regexp.MustCompile(`msg=listening address=(\S+)`)
	servesHTTPOn = regexp.MustCompile(`msg=http url=(\S+)`)
)

func (s *readmeSession) start(more ...string) {
	s.t.Helper()
	s.daemon = exec.Command(filepath.Join(s.dir, "bin", "statehoused"), append(more, "--data-dir", "data", "--listen-addr", "127.0.0.1:0", "--disk-reserve-mb", "1", "--capture")...)
	s.daemon.Dir, s.daemon.Env = s.dir, s.env
	log, err := s.daemon.StderrPipe()
	if err == nil {
		err = s.daemon.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	var said bytes.Buffer
	for lines := bufio.NewScanner(log); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if m := servesHTTPOn.FindStringSubmatch(lines.Text()); m != nil {
			s.env = append(s.env, "H="+m[1])
		}
		if m := listensOn.FindStringSubmatch(lines.Text()); m != nil {
			s.env = append(s.env, "STATEHOUSE_ADDRESS="+m[1])
			go func() {
				for lines.Scan() { // a full pipe would lose lines
				}
			}()
			return
		}
	}
	s.t.Fatalf("the daemon does not listen:\n%s", said.String())
}

// stop ends the daemon, if it runs.
func (s *readmeSession) stop(how syscall.Signal) {
	if s.daemon == nil {
		return
	}
	_ = s.daemon.Process.Signal(how)
	_ = s.daemon.Wait() // killed
	s.daemon = nil
}

// formatListing is what docs/FORMAT.md says a data directory holds, but for what is there
// only at times.
func formatListing(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	_, listing, _ := strings.Cut(string(text), "```\ndata/\n")
	listing, _, found := strings.Cut(listing, "```")
	if !found {
		t.Fatal("docs/FORMAT.md lists nothing")
	}
	for line := range strings.Lines(listing) {
		if words := strings.Fields(line); words[1] != "only" {
			names = append(names, words[0])
		}
	}
	slices.Sort(names)
	return names
}
