package main

import (
	"context"
	"log/slog"
	"sync"

	"statehouse.dev/statehouse/server"
)

// answer reloads what can be reloaded at every SIGHUP, and dumps the capture to a file
// at every SIGUSR1, until the returned function is called. A dump takes its time; a
// reload does not wait for it.
func (s *signals) answer(r *reloader, service *server.Service, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var answering sync.WaitGroup
	answering.Go(func() { r.watch(ctx, service) })
	answering.Go(func() {
		for {
			select {
			case <-s.hangup:
				r.reload(service)
			case <-ctx.Done():
				return
			}
		}
	})
	answering.Go(func() {
		for {
			select {
			case <-s.user1:
				dump(service, log)
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		answering.Wait()
	}
}

func dump(service *server.Service, log *slog.Logger) {
	if path, err := service.DumpCapture("signal"); err != nil {
		log.Warn("the capture was not dumped", "error", err)
	} else {
		log.Info("the capture was dumped", "file", path)
	}
}
