package main

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
)

// The forms of output. A list is one document as json and yaml: a list, which ends when
// everything is in it. As jsonl, and as a table, it is a line an item.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatYAML  = "yaml"
	formatJSONL = "jsonl"
)

var formats = []string{formatTable, formatJSON, formatYAML, formatJSONL}

// chooseFormat reads -o and --json, which is -o jsonl.
func (a *app) chooseFormat(cmd *cobra.Command) error {
	switch {
	case a.output == "":
	case !slices.Contains(formats, a.output):
		return usagef("-o is table, json, yaml or jsonl, not %s", quote(a.output))
	case a.asJSON && a.output != formatJSONL:
		return usagef("--json is -o jsonl: it and -o %s contradict each other", a.output)
	}
	a.format = a.output
	if a.asJSON {
		a.format = formatJSONL
	}
	a.asJSON = a.format != "" && a.format != formatTable
	return nil
}

func completeFormats(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return formats, cobra.ShellCompDirectiveNoFileComp
}

// list says that what is printed is a list, of which a table's columns have these names.
func (p *printer) list(names ...string) {
	p.many = true
	if p.headers {
		p.pending = names
	}
}

// endless says that what is printed has no end, and so is no list: as yaml it is a document an
// item.
func (p *printer) endless(names ...string) error {
	p.list(names...)
	p.many = false
	if p.format == formatJSON {
		return usagef("-o json is one document, and this has no end: say -o jsonl")
	}
	return nil
}

// head prints the names of the columns, once, before the first row.
func (p *printer) head() error {
	names := p.pending
	if names == nil {
		return nil
	}
	p.pending = nil
	return p.table.Row(nil, names...)
}

// object prints v as the format has it.
func (p *printer) object(v any) error {
	text, err := p.encode(v)
	if err != nil {
		return err
	}
	p.items++
	switch p.format {
	case formatJSON:
		return p.document(text)
	case formatYAML:
		if p.many {
			text = slices.Concat([]byte("["), text, []byte("]"))
		} else if p.items > 1 {
			if _, err := p.w.WriteString("---\n"); err != nil {
				return err
			}
		}
		if text, err = show.AppendYAML(nil, text); err != nil {
			return err
		}
		_, err = p.w.Write(text)
		return err
	}
	_, err = p.w.Write(append(text, '\n'))
	return err
}

// document prints an object of a JSON document, indented.
func (p *printer) document(text []byte) error {
	var b bytes.Buffer
	indent := ""
	if p.many {
		indent = "  "
		b.WriteString(map[bool]string{true: "[\n  ", false: ",\n  "}[p.items == 1])
	}
	if err := json.Indent(&b, text, indent, "  "); err != nil {
		return err
	}
	if !p.many {
		b.WriteByte('\n')
	}
	_, err := p.w.Write(b.Bytes())
	return err
}

// finish ends a document. One that a failure cut short is left without its end, so that no
// reader takes it for whole.
func (p *printer) finish() error {
	var end string
	switch {
	case !p.many:
	case p.items == 0 && (p.format == formatJSON || p.format == formatYAML):
		end = "[]\n"
	case p.format == formatJSON:
		end = "\n]\n"
	}
	_, err := p.w.WriteString(end)
	return err
}
