package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// envName is the variable that sets a flag.
func envName(flag string) string {
	return "STATEHOUSE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// formerNames are the variables by which deployments older than this daemon set a
// flag. They count where the variable of today is not set.
var formerNames = map[string]string{"listen-addr": "STATEHOUSE_ADDR"}

// misleading are variables that such deployments may set too, which do nothing here.
var misleading = map[string]string{
	"RUST_LOG":              envName("log-level"),
	"STATEHOUSE_AUTH_TOKEN": envName("token"),
	"STATEHOUSE_FSYNC":      envName("fsync-on-commit"),
}

// clientsNames are the variables of clients, which may run in the same environment.
var clientsNames = []string{
	"STATEHOUSE_ADDRESS", "STATEHOUSE_NAMESPACE", "STATEHOUSE_TLS", "STATEHOUSE_CA_FILE",
	"STATEHOUSE_ALLOW_PLAINTEXT_TOKEN", "STATEHOUSE_CLIENT_CERT", "STATEHOUSE_CLIENT_KEY", "STATEHOUSE_CONTEXT", "STATEHOUSE_CAPTURE_FILE", "STATEHOUSE_SIM", "STATEHOUSE_BENCH",
}

// variables are what the environment says of settings. A variable that is set but empty is
// taken for unset.
type variables map[string]string

func newVariables(environ []string) variables {
	env := make(variables, len(environ))
	for _, kv := range environ {
		if name, value, _ := strings.Cut(kv, "="); value != "" {
			env[name] = value
		}
	}
	return env
}

// lookup is the value for a flag, and the name of the variable it is from.
func (env variables) lookup(flag string) (name, value string) {
	name = envName(flag)
	if former := formerNames[flag]; former != "" && env[name] == "" {
		name = former
	}
	return name, env[name]
}

// warnings tell of variables that look like settings and are none, or are so by an
// older name.
func (env variables) warnings(f *pflag.FlagSet) (told []string) {
	known := map[string]bool{}
	f.VisitAll(func(flag *pflag.Flag) { known[envName(flag.Name)] = isSetting(flag.Name) || flag.Name == "config" })
	for _, name := range clientsNames {
		known[name] = true
	}
	for flag, former := range formerNames { // told is sorted below
		known[former] = true
		if from, value := env.lookup(flag); from == former && value != "" {
			told = append(told, fmt.Sprintf("%s is an older name of %s, and counts as that", former, envName(flag)))
		}
	}
	for name := range env { // as above
		if today := misleading[name]; today != "" {
			told = append(told, fmt.Sprintf("%s does nothing here: set %s", name, today))
		} else if strings.HasPrefix(name, "STATEHOUSE_") && !known[name] {
			told = append(told, name+" is no setting of this daemon and does nothing; statehoused --help lists them")
		}
	}
	slices.Sort(told)
	return told
}
