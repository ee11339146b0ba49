package metrics

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"statehouse.dev/statehouse/engine"
)

// Handler answers /metrics, /livez and /readyz, and /debug/pprof if profiles may be taken.
func (m *Metrics) Handler(profiles bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	mux.HandleFunc("GET /livez", m.livez)
	mux.HandleFunc("GET /readyz", m.readyz)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "/metrics\n/livez\n/readyz")
		if profiles {
			fmt.Fprintln(w, "/debug/pprof/")
		}
	})
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// livez answers 200 while the process does its work, that of opening its store included: a
// supervisor that restarts it otherwise helps. A daemon that drains lives.
func (m *Metrics) livez(w http.ResponseWriter, _ *http.Request) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.service != nil {
		// Corrupt data is not cured by starting again.
		if err := m.service.Engine().Healthy(); errors.Is(err, engine.ErrStorage) {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "ok")
}

// readyz answers 200 while requests are served. Whether writes are accepted is another
// question: reads go on when the disk is nearly full. It is in the text, and decides the
// answer if ?writes is asked for.
func (m *Metrics) readyz(w http.ResponseWriter, r *http.Request) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	switch s := m.service; {
	case s == nil:
		refuse(w, "the store is not open")
		return
	case s.Draining():
		refuse(w, "draining: the daemon is stopping")
		return
	case s.Engine().Healthy() != nil:
		refuse(w, "storage: "+s.Engine().Healthy().Error())
		return
	}
	refused := m.service.Engine().Status().Refused
	if refused == nil {
		fmt.Fprintln(w, "ok\nwrites accepted")
		return
	}
	text := "writes refused: " + refused.Error()
	if r.URL.Query().Has("writes") {
		refuse(w, text)
		return
	}
	fmt.Fprintln(w, "ok\n"+text)
}

func refuse(w http.ResponseWriter, why string) {
	http.Error(w, "not ready\n"+why, http.StatusServiceUnavailable)
}
