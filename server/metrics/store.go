package metrics

import "statehouse.dev/statehouse/server"

// levels reads a number of each level of the tree.
func levels(value func(st *server.Stats, i int) float64) func(*server.Stats, func(float64, ...string)) {
	return func(st *server.Stats, add func(float64, ...string)) {
		for i := range st.Store.Levels {
			add(value(st, i), level(i))
		}
	}
}

var storeFamilies = []family{
	{name: "lsm_level_tables", labels: []string{"level"}, help: "Tables in a level of the store's tree.",
		read: levels(func(st *server.Stats, i int) float64 { return float64(st.Store.Levels[i].Tables) })},
	{name: "lsm_level_bytes", labels: []string{"level"}, help: "Bytes in a level.",
		read: levels(func(st *server.Stats, i int) float64 { return float64(st.Store.Levels[i].Bytes) })},
	{name: "lsm_level_sublevels", labels: []string{"level"}, help: "How many tables a read may look into in a level; their sum is the read amplification.",
		read: levels(func(st *server.Stats, i int) float64 { return float64(st.Store.Levels[i].Sublevels) })},
	{name: "lsm_level_score", labels: []string{"level"}, help: "How due a level is for compaction; past 1 it waits for one.",
		read: levels(func(st *server.Stats, i int) float64 { return st.Store.Levels[i].Score })},
	{name: "lsm_level_written_bytes_total", kind: counter, labels: []string{"level"}, help: "Bytes written to a level by flushes and compactions.",
		read: levels(func(st *server.Stats, i int) float64 { return float64(st.Store.Levels[i].Written) })},
	{name: "compactions_total", kind: counter, help: "Compactions done.", read: one(func(st *server.Stats) float64 { return float64(st.Store.Compactions) })},
	{name: "compactions_running", help: "Compactions under way.", read: one(func(st *server.Stats) float64 { return float64(st.Store.Compacting) })},
	{name: "compaction_seconds_total", kind: counter, help: "Time spent compacting.", read: one(func(st *server.Stats) float64 { return st.Store.CompactionTime.Seconds() })},
	{name: "compaction_debt_bytes", help: "Bytes to compact until the tree is in order, about.", read: one(func(st *server.Stats) float64 { return float64(st.Store.CompactionDebt) })},
	{name: "flushes_total", kind: counter, help: "Memtables written to tables.", read: one(func(st *server.Stats) float64 { return float64(st.Store.Flushes) })},
	{name: "memtables", help: "Memtables, the one that is written to among them.", read: one(func(st *server.Stats) float64 { return float64(st.Store.MemTables) })},
	{name: "write_stalls_total", kind: counter, help: "How often writes had to wait for a flush or a compaction.", read: one(func(st *server.Stats) float64 { return float64(st.Store.Stalls) })},
	{name: "write_stall_seconds_total", kind: counter, help: "How long they waited.", read: one(func(st *server.Stats) float64 { return st.Store.StallTime.Seconds() })},
	{name: "wal_files", help: "Files of the write-ahead log.", read: one(func(st *server.Stats) float64 { return float64(st.Store.LogFiles) })},
	{name: "wal_bytes", help: "Bytes of them on disk.", read: one(func(st *server.Stats) float64 { return float64(st.Store.LogBytes) })},
	{name: "wal_written_bytes_total", kind: counter, help: "Bytes written to the log.", read: one(func(st *server.Stats) float64 { return float64(st.Store.LogWritten) })},
	{name: "wal_payload_bytes_total", kind: counter, help: "Bytes of rows among them.", read: one(func(st *server.Stats) float64 { return float64(st.Store.LogAskedFor) })},
	{name: "cache_hits_total", kind: counter, help: "Blocks that a read found in memory.", read: one(func(st *server.Stats) float64 { return float64(st.Store.CacheHits) })},
	{name: "cache_misses_total", kind: counter, help: "Blocks that it had to read.", read: one(func(st *server.Stats) float64 { return float64(st.Store.CacheMisses) })},
	{name: "tables_open", help: "Tables held open.", read: one(func(st *server.Stats) float64 { return float64(st.Store.TablesOpen) })},
	{name: "iterators_open", help: "Scans of the store under way.", read: one(func(st *server.Stats) float64 { return float64(st.Store.Iterators) })},
	{name: "rows_read_total", kind: counter, help: "Rows read of the store.", read: one(func(st *server.Stats) float64 { return float64(st.Store.ReadRows) })},
	{name: "row_bytes_read_total", kind: counter, help: "Bytes of them.", read: one(func(st *server.Stats) float64 { return float64(st.Store.ReadBytes) })},
}
