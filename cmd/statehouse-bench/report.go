package main

import (
	"fmt"
	"io"
	"strings"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/cmd/statehouse-bench/bench"
)

// print prints the report.
func (a *app) print(r *bench.Report) error {
	var b strings.Builder
	if a.asJSON {
		var encoder show.Encoder
		text, err := encoder.Encode(r)
		if err != nil {
			return err
		}
		b.Write(append(text, '\n'))
	} else {
		table(&b, r.Ratios)
	}
	_, err := io.WriteString(a.out, b.String())
	return err
}

// table prints each ratio with its aim.
func table(w io.Writer, ratios []bench.Ratio) {
	fmt.Fprintf(w, "%-86s %8s %10s\n", "ratio", "value", "aim")
	for _, q := range ratios {
		bound, met := ">=", ""
		if q.AtMost {
			bound = "<="
		}
		if !q.Met {
			met = "  missed"
		}
		fmt.Fprintf(w, "%-86s %8.2f %10s%s\n", q.Name, q.Value, fmt.Sprintf("%s %g", bound, q.Aim), met)
	}
}
