package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/admin"
	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/history/export"
)

const importHelp = `import makes the namespaces or agents of an export, which must not exist yet, with all of their
history: every commit in its order, so that versions come out equal. With - the export comes from standard input.

  statehousectl import prod.jsonl
  statehousectl import prod.jsonl --into staging

Into a store that has no commits, commits keep their commit_ts, commit_time and txn_id. Elsewhere, and with
--new-numbers, they get new ones, and history shows the old ones as metadata: statehouse.import.commit_ts,
…commit_time and …txn_id.

Nobody sees anything of an import before its last commit, and meanwhile nobody else can make what it
makes. When it has all been sent its commits are made in one go: other commits wait for that, a second for some ten
thousand. If the import is interrupted the same command goes on where it was; "statehousectl import abort ID"
drops it. A file that was cut or changed is noticed and not imported.

--from-original reads what the tools of the original Statehouse write, one file an agent: "statehousectl replay
AGENT --json", with its history, or "statehousectl dump AGENT", with its state only, which needs
--agent to say whose it is.

  statehousectl import --from-original planner-events.jsonl critic-events.jsonl

The key must be one that may administer every namespace.`

func (a *app) importCommand() *cobra.Command {
	var x importRun
	cmd := &cobra.Command{Use: "import FILE...|-", Short: "Make namespaces or agents of an export, with their history", Long: importHelp, Args: show.Takes(1, maxTargets)}
	f := cmd.Flags()
	f.StringVar(&x.into, "into", "", "the namespace to make, in place of the one of the export")
	f.BoolVar(&x.renew, "new-numbers", false, "give the commits new numbers and times, into an empty store, too")
	f.BoolVar(&x.original, "from-original", false, "the files are of the original Statehouse's tools")
	f.StringVar(&x.agent, "agent", "", "with --from-original: whose a dump is")
	f.BoolVar(&x.versions, "new-versions", false, "with --from-original: count versions anew, where those in the files are not 1, 2, 3…")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		x.session = s
		return x.run(ctx, args)
	})
	cmd.AddCommand(a.importListCommand(), a.importAbortCommand())
	return cmd
}

func (a *app) importListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List the imports under way, and the last ones that were done", Args: show.Takes(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.connected(func(ctx context.Context, s *session, _ []string) error {
			s.p.list("IMPORT", "STATE", "BEGUN", "COMMITS", "OPERATIONS", "MAKES")
			list, err := admin.New(s.Client).Imports(ctx)
			for i := range list {
				if err == nil {
					err = s.printImport(&list[i])
				}
			}
			return err
		}),
	}
}

func (a *app) importAbortCommand() *cobra.Command {
	return &cobra.Command{
		Use: "abort ID", Short: "Drop an import that is not done", Args: show.Takes(1, 1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.connected(func(ctx context.Context, s *session, args []string) error {
			if err := admin.New(s.Client).AbortImport(ctx, args[0]); err != nil {
				return err
			}
			return s.p.line("dropped import %s", args[0])
		}),
	}
}

// importShape is an import, as JSON.
type importShape struct {
	ID         string            `json:"import_id"`
	State      admin.ImportState `json:"state"`
	Begun      time.Time         `json:"begin_time,omitzero"`
	Principal  string            `json:"principal,omitempty"`
	Targets    []export.Target   `json:"targets"`
	Keep       bool              `json:"keep,omitempty"`
	Commits    uint64            `json:"commits"`
	Operations uint64            `json:"operations"`
	First      client.CommitTS   `json:"first_ts,omitempty"`
	Last       client.CommitTS   `json:"last_ts,omitempty"`
	Renamed    int               `json:"renamed,omitempty"` // names of the original that no name can be here
}

func shapeImport(x *admin.Import) importShape {
	shape := importShape{ID: x.ID, State: x.State, Begun: x.Began, Principal: x.Principal, Keep: x.Keep, Commits: x.Events, Operations: x.Operations, First: x.First, Last: x.Last}
	for _, t := range x.Targets {
		shape.Targets = append(shape.Targets, export.Target(t))
	}
	return shape
}

func (s *session) printImport(x *admin.Import) error {
	if s.asJSON {
		return s.p.object(shapeImport(x))
	}
	return s.p.row(nil, x.ID, string(x.State), clock(x.Began), fmt.Sprint(x.Events), fmt.Sprint(x.Operations), targetsText(x.Targets))
}

func targetsText(targets []admin.ImportTarget) string {
	var words []string
	for _, t := range targets {
		if t.Agent == "" {
			words = append(words, "namespace "+quote(t.Namespace))
		} else {
			words = append(words, quote(t.Namespace)+" "+quote(t.Agent))
		}
	}
	if more := len(words) - mostTargets; more > 0 {
		words = append(words[:mostTargets], fmt.Sprintf("%d more", more))
	}
	return strings.Join(words, ", ")
}

// maxTargets is how many agents a command can name.
const maxTargets = 1000

// mostTargets is how many of what an import makes are named on a line.
const mostTargets = 5

// importRun is one import.
type importRun struct {
	*session
	into, agent               string
	renew, original, versions bool

	from  commits
	what  admin.Import
	state admin.Import // as the daemon says
}

// commits is what is imported: its commits in order, io.EOF at an end that is as it should be.
type commits interface {
	Next() (*export.Event, error)
}

func (x *importRun) run(ctx context.Context, files []string) error {
	switch {
	case !x.original && (x.agent != "" || x.versions):
		return usagef("--agent and --new-versions go with --from-original")
	case !x.original && len(files) > 1:
		return usagef("an export is one file; several go with --from-original")
	case x.original && x.into != "":
		return usagef("--into goes with an export: a file of the original says in which namespace its agent is, and --namespace that of a dump")
	}
	open := x.openExport
	if x.original {
		open = x.openOriginals
	}
	end, err := open(files)
	if err != nil {
		return err
	}
	defer end()
	status, err := x.Status(ctx)
	if err != nil {
		return err
	}
	x.what.Keep = status.Published == 0 && !x.renew
	c := admin.New(x.Client)
	if x.state, err = c.BeginImport(ctx, x.what); err != nil {
		return err
	}
	if x.state.State == admin.ImportStaging {
		if err := x.send(ctx, c); err != nil {
			return x.goesOn(err)
		}
	}
	if err := x.finish(ctx, c); err != nil {
		return x.goesOn(err)
	}
	return x.said()
}

func (x *importRun) said() error {
	shape := shapeImport(&x.state)
	if o, is := x.from.(*originals); is {
		shape.Renamed = o.names.Changed
	}
	if x.asJSON {
		return x.p.object(shape)
	}
	if shape.Renamed > 0 {
		fmt.Fprintf(x.err, "statehousectl: control characters were escaped as in URLs in %s\n", show.Count(shape.Renamed, "name"))
	}
	return x.p.line("%s, %s as %s: %s", show.Count(x.state.Events, "commit"), show.Count(x.state.Operations, "operation"), commitsText(x.state.First, x.state.Last), targetsText(x.state.Targets))
}

// goesOn adds to the error of an import that is there what becomes of it.
func (x *importRun) goesOn(err error) error {
	fmt.Fprintf(x.err, "statehousectl: the import is not done, and nobody sees it: the same command goes on with it, \"statehousectl import abort %s\" drops it\n", x.what.ID)
	return err
}

// sendBytes is about how much a request has.
const sendBytes = 1 << 20

// send sends what the daemon does not have yet.
func (x *importRun) send(ctx context.Context, c *admin.Client) error {
	progress := x.progress("sending, commits", true)
	defer progress.end()
	var batch []client.Event
	read, bytes := uint64(0), 0
	flush := func() (err error) {
		if len(batch) > 0 {
			x.state, err = c.ImportEvents(ctx, x.what.ID, read-uint64(len(batch)), batch)
		}
		batch, bytes = batch[:0], 0
		return err
	}
	have := x.state.Events
	for {
		next, err := x.from.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return failedf("%v", err)
		}
		if read < have {
			read++
			progress.add()
			continue
		}
		ev := x.event(next)
		n := admin.ImportedSize(&ev)
		if bytes+n > sendBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		batch, bytes = append(batch, ev), bytes+n
		read++
		progress.add()
	}
	if err := flush(); err != nil {
		return err
	}
	if read < have {
		return failedf("the daemon has %d commits of the import, and there are %d: the file is another one", have, read)
	}
	return nil
}

func (x *importRun) event(ev *export.Event) client.Event {
	out := client.Event{
		CommitTS: client.CommitTS(ev.CommitTS), CommitTime: ev.CommitTime, TxnID: ev.TxnID, Principal: ev.Principal, TraceID: ev.TraceID, Metadata: ev.Metadata,
		Operations: make([]client.Operation, len(ev.Operations)),
	}
	for i, o := range ev.Operations {
		if x.into != "" {
			o.Namespace = x.into
		}
		out.Operations[i] = client.Operation{
			RecordName: client.RecordName{Namespace: o.Namespace, Agent: o.Agent, Key: o.Key}, Version: client.Version(o.Version),
			Deleted: o.Deleted, Erased: o.Erased, Pruned: o.Pruned, Value: o.Value,
		}
	}
	return out
}

func (x *importRun) finish(ctx context.Context, c *admin.Client) error {
	progress := x.progress("making commits", true)
	defer progress.end()
	for at, err := range c.FinishImport(ctx, x.what.ID, x.state.Events) {
		if err != nil {
			return err
		}
		x.state = at
		progress.to(uint64(at.Last+1-at.First), at.Events)
	}
	if x.state.State != admin.ImportDone {
		return errors.New("the daemon ended before the import was done")
	}
	return nil
}

// openExport opens an export. Its id and what becomes of it name the import: done again it is the same one.
func (x *importRun) openExport(files []string) (end func(), err error) {
	in, end := x.in, func() {}
	if files[0] != "-" {
		f, err := os.Open(files[0])
		if err != nil {
			return nil, usageError{err}
		}
		in, end = f, func() { _ = f.Close() } // it was only read
	}
	r, err := export.NewReader(in)
	if err != nil {
		end()
		return nil, failedf("%s: %v", quote(files[0]), err)
	}
	x.from = r
	for _, t := range r.Header.Targets {
		if x.into != "" {
			if t.Namespace != r.Header.Targets[0].Namespace {
				end()
				return nil, usagef("--into is for an export of one namespace, and this one has several")
			}
			t.Namespace = x.into
		}
		x.what.Targets = append(x.what.Targets, admin.ImportTarget(t))
	}
	x.what.ID = importID(r.Header.ID, x.into)
	return end, nil
}

// importID makes an import's id of what makes it the same one.
func importID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}
