package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"
)

// readConfig reads the file into strings by flag name. Unknown keys are errors.
func readConfig(path string, f *pflag.FlagSet) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	data, err := readText(path)
	if err != nil {
		return nil, fmt.Errorf("the config file cannot be read: %w", err)
	}
	raw, err := decodeConfig(path, data)
	if err != nil {
		return nil, err
	}
	values := make(map[string]string, len(raw))
	for k, v := range raw { // each is checked; order picks only which error is told
		if f.Lookup(k) == nil || !isSetting(k) {
			return nil, fmt.Errorf("%s: there is no setting %q; see statehoused --help", path, k)
		}
		for v.Kind == yaml.AliasNode {
			v = *v.Alias
		}
		if v.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("%s: %s must be one value, not a list or map", path, k)
		}
		if v.Tag == "!!null" { // as if it were not there
			continue
		}
		if v.Value == "" && neverEmpty(k) {
			return nil, fmt.Errorf("%s: %s is empty: give it a value, or take the line out", path, k)
		}
		values[k] = v.Value // as it is written: to YAML 0123456 is a number, to us a token
	}
	return values, nil
}

// decodeConfig reads one map. What YAML says of tabs depends on where they stand, and
// does not help.
func decodeConfig(path string, data []byte) (map[string]yaml.Node, error) {
	var raw, more map[string]yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(data))
	err := d.Decode(&raw)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err == nil {
		if err = d.Decode(&more); errors.Is(err, io.EOF) {
			return raw, nil
		} else if err == nil {
			return nil, fmt.Errorf("%s holds more than one document: only one can count", path)
		}
	}
	if n := indentedByTab(data); n > 0 {
		return nil, fmt.Errorf("%s: line %d starts with a tab; YAML indents with spaces (and settings are not indented at all)", path, n)
	}
	return nil, fmt.Errorf("%s is not YAML with settings: %w", path, err)
}

// indentedByTab is the number of the first line with a tab in its indentation; 0 when
// there is none.
func indentedByTab(data []byte) int {
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		if rest := strings.TrimLeft(line, " \t"); strings.TrimSpace(rest) != "" && strings.Contains(line[:len(line)-len(rest)], "\t") {
			return n
		}
	}
	return 0
}
