//go:build unix

package main

import (
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"statehouse.dev/statehouse/server"
)

// dumpOnSignal dumps the capture to a file at every SIGUSR1, until the returned
// function is called.
func dumpOnSignal(service *server.Service, log *slog.Logger) (stop func()) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	var dumping sync.WaitGroup
	dumping.Go(func() {
		for range asked {
			if path, err := service.DumpCapture("signal"); err != nil {
				log.Warn("the capture was not dumped", "error", err)
			} else {
				log.Info("the capture was dumped", "file", path)
			}
		}
	})
	return func() {
		signal.Stop(asked)
		close(asked)
		dumping.Wait()
	}
}
