package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"

	"statehouse.dev/statehouse/client/admin"
	"statehouse.dev/statehouse/history/export"
)

// originals is the history in files of the original's tools.
type originals struct {
	export.Originals
	names export.Names
	files []*os.File
}

func (o *originals) close() {
	for _, f := range o.files {
		_ = f.Close() // they were only read
	}
}

// openOriginals opens files of the original. They are read twice: what an import makes is said before its
// first commit, and their content names the import.
func (x *importRun) openOriginals(files []string) (end func(), err error) {
	o := &originals{Originals: export.Originals{Versions: x.versions}}
	sum := sha256.New()
	for _, name := range files {
		if err := x.openOriginal(o, name, sum); err != nil {
			o.close()
			return nil, err
		}
	}
	if len(x.what.Targets) == 0 {
		o.close()
		return nil, notFoundf("there are no events in the files")
	}
	x.from = o
	versions := ""
	if x.versions {
		versions = "new-versions"
	}
	x.what.ID = importID("original", x.Namespace(), x.agent, versions, hex.EncodeToString(sum.Sum(nil)))
	return o.close, nil
}

func (x *importRun) openOriginal(o *originals, name string, sum io.Writer) error {
	f, err := os.Open(name)
	if err != nil {
		return usageError{err}
	}
	o.files = append(o.files, f)
	whose := export.Target{Namespace: x.Namespace(), Agent: x.agent}
	first, err := export.NewOriginal(io.TeeReader(f, sum), quote(name), whose, &export.Names{})
	for err == nil {
		_, err = first.Next()
	}
	if !errors.Is(err, io.EOF) {
		return failedf("%v", err)
	}
	if first.Target.Agent == "" {
		return nil // it has no events
	}
	for _, t := range x.what.Targets {
		if t == admin.ImportTarget(first.Target) {
			return usagef("two files are of agent %s", quote(t.Agent))
		}
	}
	x.what.Targets = append(x.what.Targets, admin.ImportTarget(first.Target))
	if first.Dump {
		o.Versions = true // it begins with any version
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	again, err := export.NewOriginal(f, quote(name), whose, &o.names)
	if err == nil {
		err = o.Add(again)
	}
	if err != nil {
		return failedf("%v", err)
	}
	return nil
}
