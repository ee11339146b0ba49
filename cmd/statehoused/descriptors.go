package main

import (
	"fmt"
	"log/slog"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/web"
)

// otherFiles are descriptors of neither the store nor connections: standard ones,
// listeners, the log, what is captured and dumped, the runtime's own.
const otherFiles = 32

// fewestConnections is how many there must be room for.
const fewestConnections = 16

// openFiles is how many the store and its gRPC connections may have.
func (s *settings) openFiles() int {
	if s.servesHTTP() {
		return openFiles() - web.Connections
	}
	return openFiles()
}

// shareFiles divides the descriptors that the process may have. Connections that use
// up those of the store end the daemon, for a store that cannot open its files cannot
// be trusted; so the store's share is kept back, and connections get what is left.
func shareFiles(limit int, tuning *engine.Tuning, config *server.Config, log *slog.Logger) error {
	for tuning.OpenFiles = engine.MostOpenFiles; tuning.Files() > limit/2 && tuning.OpenFiles > engine.LeastOpenFiles; {
		tuning.OpenFiles = max(tuning.OpenFiles/2, engine.LeastOpenFiles)
	}
	left := limit - tuning.Files() - otherFiles
	if config.ConnectionFiles() <= left {
		return nil
	}
	asked := config.Connections
	config.KeptBack = min(config.KeptBack, max(left, 0)/4)
	config.Connections -= config.ConnectionFiles() - left
	if config.Connections < fewestConnections {
		needed := limit + fewestConnections - config.Connections
		return fmt.Errorf("this process may open %d files, which is too few: about %d are needed for the store and a few connections; raise the limit (ulimit -n, LimitNOFILE=)", limit, needed)
	}
	log.Warn("fewer connections than --max-connections, since this process may open only so many files (ulimit -n, LimitNOFILE=)",
		"asked", asked, "connections", config.Connections, "open_files", limit, "kept_back_for_the_store", tuning.Files())
	return nil
}
