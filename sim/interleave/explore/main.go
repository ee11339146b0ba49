// Command explore runs schedules of the programs, as the JSON on its input says, and prints
// a report. Package interleave builds it with the code under test rewritten; built in any
// other way its threads wait for each other for ever.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"statehouse.dev/statehouse/sim/interleave/programs"
)

func main() {
	// One thread runs at a time anyway: more processors would only hand it about.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(400)
	var o programs.Options
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		fmt.Fprintln(os.Stderr, "explore:", err)
		os.Exit(2)
	}
	programs.Explore(o, func(r *programs.Report) {
		if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	})
}
