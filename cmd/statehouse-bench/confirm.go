package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/cmd/statehouse-bench/wire"
)

// confirm asks whether what this does to a store, which cannot be undone, is meant.
func (a *app) confirm() error {
	if a.yes {
		return nil
	}
	what := a.cost()
	terminal, ok := a.in.(*os.File)
	if a.asJSON || !ok || !term.IsTerminal(int(terminal.Fd())) {
		return usageError{fmt.Errorf("%s\nSay --yes if that is meant", what)}
	}
	if _, err := fmt.Fprint(a.err, show.Printable(what)+"\nGo on? [y/N] "); err != nil {
		return err
	}
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was measured, and nothing written")
}

// cost says what is written, and where.
func (a *app) cost() string {
	where := show.Quote(a.daemon.Address)
	if a.against != "" {
		where += " and at " + show.Quote(a.against)
	}
	bytes := 2 * wire.ValueBytes * (a.records + a.events()*5/4)
	return fmt.Sprintf("bench writes into namespaces whose names begin with %q of the daemon at %s: %d records and %d events (about %s), and then commits as fast as it can for about %v.\n"+
		"Nothing of that can be deleted for good: it stays in the store and its log.",
		wire.Namespace, where, a.records, a.events()*5/4, show.Size(uint64(bytes)), a.writing())
}
