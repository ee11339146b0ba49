package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/admin"
	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/history/export"
)

const exportHelp = `export writes the whole history of the namespace, of the agents that are named, or with
--all-namespaces of every namespace that you may read, to a file of JSON lines, or with - to standard
output: every commit in order, with its values, its metadata and who made it. The first line says what
it is of, the last one seals it. "statehousectl import" makes the same of it in another store.

It needs no more than the right to read, and shows one moment: what is committed meanwhile is not in it.
Where retention has dropped the beginning of a history there is nothing whole to export; a
backup ("statehousectl backup") keeps such a store.`

func (a *app) exportCommand() *cobra.Command {
	var x exportRun
	cmd := &cobra.Command{
		Use: "export FILE|- [AGENT...]", Short: "Write whole histories to a file, for another store", Long: exportHelp,
		Example: "  statehousectl export planner.jsonl planner\n  statehousectl --namespace prod export prod.jsonl\n  statehousectl export --all-namespaces - | ssh elsewhere statehousectl import -",
		Args:    show.Takes(1, 1+maxTargets),
	}
	f := cmd.Flags()
	f.BoolVar(&x.all, "all-namespaces", false, "every namespace")
	f.StringVar(&x.to, "to", "", "no further than this commit_ts or time")
	f.BoolVar(&x.force, "force", false, "replace a file that exists")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		x.session, x.file = s, args[0]
		if x.all && len(args) > 1 {
			return usagef("--all-namespaces exports all agents: name none")
		}
		if err := x.find(ctx, args[1:]); err != nil {
			return err
		}
		return x.run(ctx)
	})
	return cmd
}

// exportRun is one export.
type exportRun struct {
	*session
	file  string
	all   bool
	to    string
	force bool

	header export.Header
	end    export.End
}

// find finds what is to be exported, and up to where.
func (x *exportRun) find(ctx context.Context, agents []string) error {
	status, err := x.Status(ctx)
	if err != nil {
		return err
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	x.header = export.Header{ID: hex.EncodeToString(id[:]), Store: status.StoreID, Epoch: status.Epoch, To: uint64(status.Published), Made: x.now().UTC()}
	if x.to != "" {
		ts, err := x.point(ctx, "-", x.to)
		if err != nil {
			return err
		}
		x.header.To = uint64(ts)
	}
	for _, agent := range agents {
		known, found, err := x.findAgent(ctx, agent)
		switch {
		case err != nil:
			return err
		case !found || uint64(known.First) > x.header.To:
			return noSuchAgent(x.session, agent)
		}
		x.header.Targets = append(x.header.Targets, export.Target{Namespace: x.Namespace(), Agent: agent})
	}
	switch {
	case len(agents) > 0:
		return nil
	case !x.all:
		x.header.Targets = []export.Target{{Namespace: x.Namespace()}}
		return nil
	}
	for name, err := range x.ListNamespaces(ctx) {
		if err != nil {
			return err
		}
		x.header.Targets = append(x.header.Targets, export.Target{Namespace: name})
	}
	return nil
}

func (x *exportRun) run(ctx context.Context) error {
	if x.file == "-" {
		if err := x.write(ctx, x.p.w); err != nil {
			return err
		}
		_, err := fmt.Fprintln(x.err, x.said())
		return err
	}
	if err := writeFile(x.file, x.force, func(w io.Writer) error { return x.write(ctx, w) }); err != nil {
		return err
	}
	if x.asJSON {
		return x.p.object(exportShape{x.file, x.header.ID, x.header.To, x.end.Events, x.end.Operations, x.end.SHA256})
	}
	return x.p.line("%s in %s", x.said(), quote(x.file))
}

func (x *exportRun) said() string {
	return fmt.Sprintf("%s, %s, up to commit %d", show.Count(x.end.Events, "commit"), show.Count(x.end.Operations, "operation"), x.header.To)
}

// exportShape is an export that was made, as JSON.
type exportShape struct {
	File       string `json:"file"`
	ID         string `json:"export_id"`
	To         uint64 `json:"to_ts"`
	Commits    uint64 `json:"commits"`
	Operations uint64 `json:"operations"`
	SHA256     string `json:"sha256"`
}

func (x *exportRun) write(ctx context.Context, out io.Writer) error {
	w, err := export.NewWriter(out, x.header)
	if err != nil {
		return err
	}
	q := admin.ExportQuery{To: client.CommitTS(x.header.To)}
	for _, t := range x.header.Targets {
		q.Targets = append(q.Targets, admin.ImportTarget(t))
	}
	progress := x.progress("reading, commits", x.file != "-")
	defer progress.end()
	for ev, err := range admin.Export(ctx, x.Client, q) {
		if err != nil {
			return beginningGone(err)
		}
		progress.to(uint64(ev.CommitTS), x.header.To)
		if err := w.Event(exportedEvent(&ev)); err != nil {
			return err
		}
	}
	if w.End.Events == 0 {
		return notFoundf("there is nothing to export: no commit up to %d", x.header.To)
	}
	err = w.Close()
	x.end = w.End
	return err
}

// beginningGone says what can be done where a history has lost its beginning.
func beginningGone(err error) error {
	var e *client.Error
	if errors.As(err, &e) && errors.Is(err, client.ErrOutOfRange) {
		return failedf("namespace %s begins at commit %s, since its retention has dropped what was before: an export has whole histories; a backup keeps what there is", quote(e.Details["namespace"]), e.Details["floor_ts"])
	}
	return err
}

func exportedEvent(ev *client.Event) *export.Event {
	out := &export.Event{
		CommitTS: uint64(ev.CommitTS), CommitTime: ev.CommitTime, TxnID: ev.TxnID, Principal: ev.Principal, TraceID: ev.TraceID, Metadata: ev.Metadata,
		Operations: make([]export.Operation, len(ev.Operations)),
	}
	for i, o := range ev.Operations {
		out.Operations[i] = export.Operation{
			Namespace: o.Namespace, Agent: o.Agent, Key: o.Key, Version: uint64(o.Version), Deleted: o.Deleted, Erased: o.Erased, Pruned: o.Pruned, Value: o.Value,
		}
	}
	return out
}

// commitsText says which commits something is.
func commitsText(first, last client.CommitTS) string {
	if first == last {
		return "commit " + first.String()
	}
	return "commits " + first.String() + " to " + strconv.FormatUint(uint64(last), 10)
}
