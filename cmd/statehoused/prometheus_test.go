package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// TestPrometheus has a real Prometheus, where there is one, scrape a daemon that works, and asks it
// what the dashboard and the alerts ask: each query must answer with numbers.
func TestPrometheus(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("there is no prometheus: apt-get install prometheus")
	}
	d, base := watchedDaemon(t, filepath.Join(t.TempDir(), "data"))
	api := prometheus(t, program, strings.TrimPrefix(base, "http://"))
	work(t, d, 12*time.Second)
	for panel, query := range dashboardQueries(t) { // each by itself
		if err := api.answers(query); err != nil {
			t.Errorf("the panel %q: %s: %v", panel, query, err)
		}
	}
	for alert, query := range alertQueries(t) { // each by itself
		if err := api.answers(query); err != nil {
			t.Errorf("the alert %s: %s: %v", alert, query, err)
		}
	}
	var rules struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, State, LastError string }
			}
		}
	}
	if err := api.get("/api/v1/rules", &rules); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range rules.Data.Groups {
		for _, r := range g.Rules {
			n++
			if r.Health != "ok" || r.State == "firing" {
				t.Errorf("the alert %s: health %s, state %s of a daemon that is well: %s", r.Name, r.Health, r.State, r.LastError)
			}
		}
	}
	if n == 0 {
		t.Error("Prometheus has no rules")
	}
	d.terminate()
}

// work has a daemon do all that the dashboard shows, for a while.
func work(t *testing.T, d *daemon, long time.Duration) {
	t.Helper()
	watch, err := d.Watch(call(t), &pb.WatchRequest{AllAgents: true})
	if err != nil {
		t.Fatal(err)
	}
	go func() { // ends with its stream
		for {
			if _, err := watch.Recv(); err != nil {
				return
			}
		}
	}()
	begun, err := d.BeginTransaction(call(t), &pb.BeginTransactionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	zero := uint64(0)
	for i, end := 0, time.Now().Add(long); time.Now().Before(end); i++ {
		op := put(fmt.Sprint("a", i%7), "k", `{"n":1}`)
		if i%10 == 9 {
			op.ExpectedVersion = &zero // it is there: refused
		}
		_, err := d.Transact(call(t), &pb.TransactRequest{TxnId: fmt.Sprint("t", i), Operations: []*pb.TransactOperation{op}})
		if err != nil && detail(err) != pb.ErrorCode_PRECONDITION_FAILED {
			t.Fatal(err)
		}
		if _, err := d.GetStateAtVersion(call(t), &pb.GetStateAtVersionRequest{AgentId: "a0", Key: "k", Version: 1}); err != nil {
			t.Fatal(err)
		}
		inSession(t, d, "GetState", &pb.GetStateRequest{AgentId: "a1", Key: "k"})
		time.Sleep(5 * time.Millisecond)
	}
	_, _ = d.Abort(call(t), &pb.AbortRequest{TxnId: begun.TxnId})
}

// prometheusAPI is a Prometheus that runs.
type prometheusAPI struct {
	t    *testing.T
	base string
}

func prometheus(t *testing.T, program, target string) *prometheusAPI {
	t.Helper()
	dir := t.TempDir()
	rules, err := filepath.Abs("../../deploy/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("global: {scrape_interval: 500ms, evaluation_interval: 1s}\nrule_files: [%s]\nscrape_configs: [{job_name: statehouse, static_configs: [{targets: [%q]}]}]\n", rules, target)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	_ = free.Close()
	cmd := exec.Command(program, "--config.file", filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", addr)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus said:\n%s", said.String())
		}
	})
	api := &prometheusAPI{t, "http://" + addr}
	eventually(t, "prometheus has scraped the daemon", func() error { return api.answers(`statehouse_ready`) })
	return api
}

func (p *prometheusAPI) get(path string, into any) error {
	resp, err := http.Get(p.base + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}

// answers reports why a query has no answer, or one without a number.
func (p *prometheusAPI) answers(query string) error {
	var a struct {
		Status, Error string
		Data          struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := p.get("/api/v1/query?query="+url.QueryEscape(query), &a); err != nil {
		return err
	}
	if a.Status != "success" {
		return fmt.Errorf("%s", a.Error)
	}
	for _, r := range a.Data.Result {
		if r.Value[1] != "NaN" {
			return nil
		}
	}
	return fmt.Errorf("it answers nothing: %v %w", a.Data.Result, errNotYet)
}

func dashboardQueries(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ RefID, Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("$__rate_interval", "10s", "$instance", ".*")
	queries := map[string]string{}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			queries[p.Title+" "+target.RefID] = fill.Replace(target.Expr)
		}
	}
	if len(queries) < 30 {
		t.Fatalf("the dashboard has %d queries", len(queries))
	}
	return queries
}

var comparison = regexp.MustCompile(`^(.*) (==|<|>) [0-9.]+$`)

// alertQueries are what the alerts compare: while all is well, the comparison has no answer.
func alertQueries(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	shorter := regexp.MustCompile(`\[\d+[mh]\]`)
	queries := map[string]string{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			found := comparison.FindStringSubmatch(r.Expr)
			if found == nil {
				t.Errorf("the alert %s does not end in a comparison", r.Alert)
				continue
			}
			queries[r.Alert] = shorter.ReplaceAllString(found[1], "[10s]")
		}
	}
	return queries
}
