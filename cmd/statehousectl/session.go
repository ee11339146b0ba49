package main

import (
	"context"
	"fmt"

	"statehouse.dev/statehouse/client"
)

// session is one run of a command that talks to the daemon.
type session struct {
	*app
	*client.Client
	p *printer
}

// findAgent looks an agent up by its name.
func (s *session) findAgent(ctx context.Context, name string) (client.Agent, bool, error) {
	for a, err := range s.ListAgents(ctx, name) { // in byte order: the first is it, or none is
		return a, err == nil && a.Agent == name, err
	}
	return client.Agent{}, false, nil
}

// mustExist is the answer of a command that has found nothing of an agent: nothing is
// a fine answer, unless the agent's name is one that was never written under.
func (s *session) mustExist(ctx context.Context, agent string) error {
	_, found, err := s.findAgent(ctx, agent)
	if err == nil && !found {
		err = noSuchAgent(s, agent)
	}
	return err
}

// noteNothing says why a list over a whole namespace is empty, where the reason is that
// the namespace, perhaps misspelt, has never been written to. An empty list is no
// failure.
func (s *session) noteNothing(ctx context.Context) error {
	for _, err := range s.ListAgents(ctx, "") {
		return err // there are some
	}
	if s.asJSON {
		return nil
	}
	_, err := fmt.Fprintf(s.err, "statehousectl: namespace %s has no commits\n", quote(s.Namespace()))
	return err
}

func noSuchAgent(s *session, name string) error {
	return notFoundf("agent %s has no commits in namespace %s", quote(name), quote(s.Namespace()))
}
