package statehouse

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// at follows a path into what YAML holds: names of maps, and 0 for the first of a list.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for i, step := range path {
		switch s := step.(type) {
		case string:
			m, is := v.(map[string]any)
			if !is || m[s] == nil {
				t.Fatalf("there is no %v", path[:i+1])
			}
			v = m[s]
		case int:
			l, is := v.([]any)
			if !is || len(l) <= s {
				t.Fatalf("there is no %v", path[:i+1])
			}
			v = l[s]
		}
	}
	return v
}

func documents(t *testing.T, path string) (list []any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var v any
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		list = append(list, v)
	}
}

// TestKubernetesExample: it is one daemon that is not root, with a volume, that is probed with
// its own program and has the time that it needs to stop.
func TestKubernetesExample(t *testing.T) {
	all := documents(t, "deploy/kubernetes.yaml")
	if len(all) != 2 || at(t, all[0], "kind") != "Service" || at(t, all[1], "kind") != "StatefulSet" {
		t.Fatalf("%d documents", len(all))
	}
	spec := at(t, all[1], "spec")
	pod := at(t, spec, "template", "spec")
	c := at(t, pod, "containers", 0)
	for _, want := range []struct {
		got  any
		want any
	}{
		{at(t, spec, "replicas"), 1}, {at(t, spec, "serviceName"), at(t, all[0], "metadata", "name")},
		{at(t, pod, "securityContext", "runAsNonRoot"), true}, {at(t, pod, "securityContext", "runAsUser"), 65532},
		{at(t, c, "securityContext", "readOnlyRootFilesystem"), true}, {at(t, c, "securityContext", "allowPrivilegeEscalation"), false},
		{at(t, c, "securityContext", "capabilities", "drop", 0), "ALL"},
		{at(t, c, "volumeMounts", 0, "name"), at(t, spec, "volumeClaimTemplates", 0, "metadata", "name")},
		{at(t, c, "volumeMounts", 0, "mountPath"), "/var/lib/statehouse"},
		{at(t, spec, "volumeClaimTemplates", 0, "spec", "accessModes", 0), "ReadWriteOnce"},
		{at(t, c, "ports", 0, "containerPort"), 50051}, {at(t, all[0], "spec", "ports", 0, "port"), 50051},
	} {
		if want.got != want.want {
			t.Errorf("%v, want %v", want.got, want.want)
		}
	}
	for _, probe := range []string{"startupProbe", "readinessProbe", "livenessProbe"} {
		if at(t, c, probe, "exec", "command", 0) != "statehousectl" || at(t, c, probe, "exec", "command", 1) != "health" {
			t.Errorf("the %s is not statehousectl health", probe)
		}
	}
	if grace := at(t, pod, "terminationGracePeriodSeconds").(int); grace < 30 {
		t.Errorf("it is killed after %d s, and drains for 20", grace)
	}
	for _, v := range at(t, c, "env").([]any) {
		if name := at(t, v, "name").(string); !strings.HasPrefix(name, "STATEHOUSE_") {
			t.Error(name)
		}
	}
}

// TestUnit: the unit runs the daemon with what it knows, and systemd, where there is one, has
// nothing against it.
func TestUnit(t *testing.T) {
	text, err := os.ReadFile("deploy/statehouse.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"Type=notify", "WatchdogSec=30", "ProtectSystem=strict", "StateDirectory=statehouse", "NoNewPrivileges=yes", "RestartPreventExitStatus=2 3 65",
		"Environment=STATEHOUSE_DATA_DIR=/var/lib/statehouse", "CapabilityBoundingSet=",
	} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("there is no line %s", line)
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd here")
	}
	unit := regexp.MustCompile(`(?m)^(Exec\w+=)\S+`).ReplaceAllString(string(text), "${1}/bin/true") // it is not installed
	path := filepath.Join(t.TempDir(), "statehouse.service")
	if err := os.WriteFile(path, []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), analyze, "verify", path).CombinedOutput()
	if err != nil || strings.Contains(string(out), path) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestImage: it is the programs, as a user that is not root, and can tell how the daemon is.
func TestImage(t *testing.T) {
	text, err := os.ReadFile("deploy/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"FROM scratch", "USER 65532:65532", "VOLUME /var/lib/statehouse", "HEALTHCHECK ", `ENTRYPOINT ["/usr/bin/statehoused"]`} {
		if !strings.Contains(string(text), "\n"+line) {
			t.Errorf("there is no line %s", line)
		}
	}
}

// TestReleases: what is released is built as "make dist" builds it.
func TestReleases(t *testing.T) {
	dist, err := os.ReadFile(".ci/dist")
	if err != nil {
		t.Fatal(err)
	}
	config := documents(t, ".goreleaser.yaml")[0]
	for i, program := range []string{"statehoused", "statehousectl"} {
		build := at(t, config, "builds", i)
		if at(t, build, "main") != "./cmd/"+program || !slices.Contains(at(t, build, "tags").([]any), any("grpcnotrace")) {
			t.Errorf("%v", build)
		}
	}
	for _, flag := range []string{"-trimpath", "-buildvcs=false", "-linkmode external -extldflags -static", "netgo", "osusergo", "-X main.version=", "-X main.gitSHA="} {
		text, err := os.ReadFile(".goreleaser.yaml")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(dist, []byte(flag)) || !bytes.Contains(text, []byte(flag)) {
			t.Errorf("%s is not in both", flag)
		}
	}
}

// TestOutsideModule: somebody else's module compiles against the client, by the path that the
// module has.
func TestOutsideModule(t *testing.T) {
	dir := t.TempDir()
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, requires, _ := strings.Cut(string(own), "\nrequire")
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{ // any order
		"go.mod": "module example.com/agent\n\ngo 1.26.0\n\nrequire " + strings.TrimSuffix(module, "/") + " v0.1.0\n\nreplace " + strings.TrimSuffix(module, "/") + " => " + here + "\n\nrequire" + requires,
		"go.sum": string(sums),
		"main.go": `package main

import (
	"context"

	"statehouse.dev/statehouse/client"
)

func main() {
	c, err := client.Dial(client.Config{})
	if err == nil {
		_, err = c.Transact(context.Background(), client.Batch{Writes: []client.Write{client.Put("a", "k", []byte("{}"))}})
	}
	if err != nil {
		panic(err)
	}
}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "vet", "-tags", "grpcnotrace", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
