package metrics

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/meter"
)

// shown is a service in memory whose metrics are shown.
func shown(t *testing.T, observed *meter.Meter) (*Metrics, *httptest.Server, *server.Service) {
	t.Helper()
	service, err := server.Assemble(engine.MemoryEnv(func(err error) { t.Error(err) }, nil), server.Config{Engine: engine.Options{Dir: "/data"}, Meter: observed})
	if err != nil {
		t.Fatal(err)
	}
	m := New("1.2.3", "abc")
	web := httptest.NewServer(m.Handler(false))
	t.Cleanup(func() {
		web.Close()
		m.Detach()
		if err := service.Close(); err != nil {
			t.Error(err)
		}
	})
	return m, web, service
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func newMeter() *meter.Meter {
	return meter.New(meter.Config{Clock: func() time.Duration { return 1 }, Namespaces: []string{"a"}})
}

var metricName = regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`)

// exported are the names and types of what a service shows.
func exported(t *testing.T) map[string]string {
	t.Helper()
	m, web, service := shown(t, newMeter())
	m.Attach(service)
	status, text := get(t, web.URL+"/metrics")
	if status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	names := map[string]string{}
	for _, found := range metricName.FindAllStringSubmatch(text, -1) {
		names[found[1]] = found[2]
	}
	return names
}

// TestAllAreExported: a family that shows nothing is one that nobody would miss. The request_bytes
// and connections of limits come with a listener.
func TestAllAreExported(t *testing.T) {
	names := exported(t)
	for _, f := range families {
		if names[namespace+f.name] == "" {
			t.Errorf("%s is not there", namespace+f.name)
		}
	}
}

// TestConventions holds names to those of Prometheus: counters, and only they, end in _total, and
// units are seconds and bytes.
func TestConventions(t *testing.T) {
	for _, f := range families {
		if (f.kind == counter) != strings.HasSuffix(f.name, "_total") {
			t.Errorf("%s: only counters end in _total", f.name)
		}
		if !regexp.MustCompile(`^[a-z0-9_]+$`).MatchString(f.name) || regexp.MustCompile(`_(ms|us|ns|millis\w*|micros\w*|kb|mb|mib)(_|$)`).MatchString(f.name) {
			t.Errorf("%s is not a name of Prometheus", f.name)
		}
		if f.help == "" || !strings.HasSuffix(f.help, ".") {
			t.Errorf("%s: %q does not explain it", f.name, f.help)
		}
		for _, label := range f.labels {
			if !slices.Contains([]string{"method", "code", "via", "namespace", "result", "limit", "bound", "budget", "phase", "level", "store_id", "format"}, label) {
				t.Errorf("%s has the label %s, which may have as many values as clients like", f.name, label)
			}
		}
	}
}

// TestDocumented: docs/OPERATIONS.md has a line for each metric.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(statehouse_[a-z0-9_]+)").FindAllStringSubmatch(string(text), -1) {
		documented[row[1]] = true
	}
	names := exported(t)
	for name := range names { // each by itself
		if strings.HasPrefix(name, namespace) && !documented[name] {
			t.Errorf("docs/OPERATIONS.md says nothing of %s", name)
		}
	}
	for name := range documented { // each by itself
		if names[name] == "" {
			t.Errorf("docs/OPERATIONS.md explains %s, which there is not", name)
		}
	}
}

var (
	quoted   = regexp.MustCompile(`"(\\.|[^"\\])*"`)
	mentions = regexp.MustCompile(`\b(statehouse|go|process)_[a-z0-9_]+\b`)
)

// TestDashboardAndAlerts: each query names metrics that there are, buckets of histograms only, and
// of labels those that they have.
func TestDashboardAndAlerts(t *testing.T) {
	names := exported(t)
	for file, expr := range map[string]*regexp.Regexp{ // each by itself
		"grafana-dashboard.json": regexp.MustCompile(`(?m)"expr": "(.*)",$`),
		"alerts.yml":             regexp.MustCompile(`(?m)^ +expr: (.*)$`),
	} {
		text, err := os.ReadFile("../../deploy/" + file)
		if err != nil {
			t.Fatal(err)
		}
		found := expr.FindAllStringSubmatch(string(text), -1)
		if len(found) < 10 {
			t.Fatalf("%s has %d queries", file, len(found))
		}
		for _, query := range found {
			plain := quoted.ReplaceAllString(strings.ReplaceAll(query[1], `\"`, `"`), `""`)
			for _, name := range mentions.FindAllString(plain, -1) {
				if err := known(names, name); err != nil {
					t.Errorf("%s: %s: %v", file, query[1], err)
				}
			}
		}
	}
}

func known(names map[string]string, name string) error {
	if names[name] == "histogram" {
		return fmt.Errorf("%s is a histogram: it has no number of its own", name)
	}
	if names[name] != "" {
		return nil
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if of, cut := strings.CutSuffix(name, suffix); cut && names[of] == "histogram" {
			return nil
		}
	}
	return fmt.Errorf("there is no metric %s", name)
}

// TestReadyBeforeAndAfter: before the store is open and after it is closed there is an answer, and
// none is green.
func TestReadyBeforeAndAfter(t *testing.T) {
	m, web, service := shown(t, nil)
	look := func(what string, want int) {
		t.Helper()
		if status, text := get(t, web.URL+"/readyz"); status != want {
			t.Errorf("%s: %d %s", what, status, text)
		}
		if status, text := get(t, web.URL+"/livez"); status != 200 {
			t.Errorf("%s, alive: %d %s", what, status, text)
		}
		if status, text := get(t, web.URL+"/metrics"); status != 200 || !strings.Contains(text, `statehouse_build_info{commit="abc"`) {
			t.Errorf("%s, metrics: %d %s", what, status, text)
		}
	}
	look("before", 503)
	m.Attach(service)
	look("open", 200)
	m.Detach()
	look("after", 503)
}

// TestOthers: something beside the service can show its numbers, too.
func TestOthers(t *testing.T) {
	m, web, _ := shown(t, nil)
	m.Gauge("archive_lag_seconds", "How old the oldest commit is that the archive does not have.", func() float64 { return 4.5 })
	m.Counter("archive_segments_total", "Segments shipped.", func() float64 { return 3 })
	_, text := get(t, web.URL+"/metrics")
	for _, line := range []string{"statehouse_archive_lag_seconds 4.5\n", "statehouse_archive_segments_total 3\n", "# TYPE statehouse_archive_segments_total counter\n"} {
		if !strings.Contains(text, line) {
			t.Errorf("%q is not there", line)
		}
	}
}

// BenchmarkScrape is what somebody who looks costs.
func BenchmarkScrape(b *testing.B) {
	service, err := server.Assemble(engine.MemoryEnv(func(err error) { b.Error(err) }, nil), server.Config{Engine: engine.Options{Dir: "/data"}, Meter: newMeter()})
	if err != nil {
		b.Fatal(err)
	}
	defer service.Close()
	m := New("", "")
	m.Attach(service)
	for b.Loop() {
		if err := m.WriteText(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
