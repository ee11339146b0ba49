package metrics

import (
	"maps"
	"slices"

	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/meter"
)

// one is the reader of a metric without labels.
func one(value func(st *server.Stats) float64) func(*server.Stats, func(float64, ...string)) {
	return func(st *server.Stats, add func(float64, ...string)) { add(value(st)) }
}

// families are all metrics of a service. docs/OPERATIONS.md explains each; a test compares.
var families = slices.Concat(requestFamilies, commitFamilies, storeFamilies, stateFamilies)

var requestFamilies = []family{
	{name: "requests_total", kind: counter, labels: []string{"method", "code", "via"}, help: "Requests answered, by method, code (OK, a code of the contract, or grpc_ and gRPC's), and whether in a session or a call of its own. Streams count when they end.",
		read: func(st *server.Stats, add func(float64, ...string)) {
			for _, m := range st.Meter.Methods() {
				for _, c := range m.Counts() {
					if c.N == 0 && !ofAgents(m.Name) {
						continue
					}
					add(float64(c.N), method(m.Name), c.Code, c.Via.String())
				}
			}
		}},
	{name: "request_duration_seconds", kind: histogram, labels: []string{"method"}, help: "From when a request had arrived until its answer was made. Requests refused at the door and streams without an end are not in it.",
		spread: func(st *server.Stats, add func(meter.Distribution, ...string)) {
			for _, m := range st.Meter.Methods() {
				if m.Took == nil {
					continue
				}
				if d := m.Took.Distribution(); d.Count() > 0 || ofAgents(m.Name) {
					add(d, method(m.Name))
				}
			}
		}},
	{name: "namespace_requests_total", kind: counter, labels: []string{"namespace", "result"}, help: "Requests that name a namespace, for those in --metrics-namespaces; all others together are (other).",
		read: func(st *server.Stats, add func(float64, ...string)) {
			for _, n := range st.Meter.Namespaces() {
				add(float64(n.OK.Load()), n.Name, "ok")
				add(float64(n.Fail.Load()), n.Name, "failed")
			}
		}},
	{name: "sessions", help: "Sessions open.", read: one(func(st *server.Stats) float64 { return float64(st.Held.Sessions.Open) })},
	{name: "session_requests", help: "Requests under way in sessions.", read: one(func(st *server.Stats) float64 { return float64(st.Held.Sessions.Requests) })},
	{name: "watches", help: "Watches open.", read: one(func(st *server.Stats) float64 { return float64(st.Watches) })},
	{name: "watch_lag_commits", help: "How many commits the watch that is furthest behind has not looked at yet. Watches of one agent look every 256 commits or more.",
		read: one(func(st *server.Stats) float64 { return float64(st.WatchLag) })},
	{name: "streams_reading", help: "Replays and watches that read the store now.", read: one(func(st *server.Stats) float64 { return float64(st.Held.Reading.Streams) })},
	{name: "streams_waiting", help: "Replays and watches that wait for their turn to read.", read: one(func(st *server.Stats) float64 { return float64(st.Held.Reading.Waiting) })},
	{name: "limit_used", labels: []string{"limit"}, help: "How much of a limit is used now. See limit_max.",
		read: func(st *server.Stats, add func(float64, ...string)) {
			for _, u := range st.Uses {
				if !u.Bytes {
					add(float64(u.Used), u.Limit)
				}
			}
		}},
	{name: "limit_max", labels: []string{"limit"}, help: "What the limit is.",
		read: func(st *server.Stats, add func(float64, ...string)) {
			for _, u := range st.Uses {
				if !u.Bytes {
					add(float64(u.Most), u.Limit)
				}
			}
		}},
	{name: "limit_reached_total", kind: counter, labels: []string{"bound"}, help: "How often a bound was reached: something was refused, dropped from a cache, or cut in parts, as docs/OPERATIONS.md says of each.",
		read: func(st *server.Stats, add func(float64, ...string)) {
			for _, name := range slices.Sorted(maps.Keys(st.Bounds)) {
				add(float64(st.Bounds[name]), snake(name))
			}
		}},
	{name: "memory_used_bytes", labels: []string{"budget"}, help: "Memory that a budget has given out.",
		read: func(st *server.Stats, add func(float64, ...string)) {
			for _, u := range st.Uses {
				if u.Bytes {
					add(float64(u.Used), u.Limit)
				}
			}
		}},
	{name: "memory_budget_bytes", labels: []string{"budget"}, help: "What a budget may give out.",
		read: func(st *server.Stats, add func(float64, ...string)) {
			for _, u := range st.Uses {
				if u.Bytes {
					add(float64(u.Most), u.Limit)
				}
			}
		}},
}

var commitFamilies = []family{
	{name: "commit_phase_seconds", kind: histogram, labels: []string{"phase"}, help: "How long commits are in each phase: queue is of each commit, plan, apply, sync and answer are of each group.",
		spread: func(st *server.Stats, add func(meter.Distribution, ...string)) {
			m := st.Meter
			add(m.Waited.Distribution(), "queue")
			add(m.Planned.Distribution(), "plan")
			add(m.Applied.Distribution(), "apply")
			add(m.Synced.Distribution(), "sync")
			add(m.Answered.Distribution(), "answer")
		}},
	{name: "commit_group_size", kind: histogram, help: "Commits that share one sync. A group of 0 was all refusals.",
		spread: func(st *server.Stats, add func(meter.Distribution, ...string)) {
			add(st.Meter.GroupSize.Distribution())
		}},
	{name: "wal_fsync_seconds", kind: histogram, help: "How long a sync of the write-ahead log takes.",
		spread: func(st *server.Stats, add func(meter.Distribution, ...string)) { add(st.Meter.Fsync.Distribution()) }},
	{name: "queue_commits", help: "Commits that wait for the writer.", read: one(func(st *server.Stats) float64 { return float64(st.Held.Commits.Queued) })},
	{name: "queue_age_seconds", help: "How long the first of them has waited.", read: one(func(st *server.Stats) float64 { return st.Store.QueueAge.Seconds() })},
	{name: "published_commit_ts", help: "The last commit that readers see.", read: one(func(st *server.Stats) float64 { return float64(st.Status.Published) })},
	{name: "transactions_open", help: "Transactions that the daemon holds open. See statehousectl txn ls.", read: one(func(st *server.Stats) float64 { return float64(st.Held.Txns.Open) })},
	{name: "transaction_oldest_seconds", help: "How long the oldest of them has been open.", read: one(func(st *server.Stats) float64 { return st.OldestTxn.Seconds() })},
}

var stateFamilies = []family{
	{name: "healthy", help: "1 while storage can be trusted.", read: one(func(st *server.Stats) float64 { return truth(st.Healthy == nil) })},
	{name: "ready", help: "1 while requests are served: 0 when it is draining or not healthy.", read: one(func(st *server.Stats) float64 { return truth(st.Healthy == nil && !st.Draining) })},
	{name: "writes_refused", help: "1 while all writes are refused: see /readyz for the reason.", read: one(func(st *server.Stats) float64 { return truth(st.Status.Refused != nil) })},
	{name: "store_info", labels: []string{"store_id", "format"}, help: "1; says which store it is.",
		read: func(st *server.Stats, add func(float64, ...string)) {
			add(1, st.Status.StoreID, level(st.Status.Format))
		}},
	{name: "disk_used_bytes", help: "Bytes of the store.", read: one(func(st *server.Stats) float64 { return float64(st.Status.DiskUsed) })},
	{name: "disk_free_bytes", help: "Bytes free on its disk.", read: one(func(st *server.Stats) float64 { return float64(st.Status.DiskFree) })},
	{name: "disk_reserve_bytes", help: "Free bytes below which writes are refused.", read: one(func(st *server.Stats) float64 { return float64(st.Store.DiskReserve) })},
}
