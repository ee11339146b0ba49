package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"statehouse.dev/statehouse/engine"
)

// tryOut looks at everything that a start would refuse, but for what only a start shows:
// whether the address is free, and whether the store opens. A daemon may have it open
// meanwhile.
func (s *settings) tryOut(out, errOut io.Writer) error {
	log := slog.New(slog.NewTextHandler(errOut, nil))
	if _, err := loadCredentials(s); err != nil {
		return usageError{err}
	}
	if err := checkExposure(s, !s.useMemory); err != nil { // only a start shows whether the store has keys
		return usageError{err}
	}
	for _, w := range s.warnings {
		log.Warn(w)
	}
	config := configOf(s)
	if err := shareFiles(s.openFiles(), &config.Engine.Tuning, &config, log); err != nil {
		return usageError{err}
	}
	if !s.useMemory {
		if err := s.checkDirs(log); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "the configuration is right: %s on %s\n", dirName(s), s.listenAddr)
	return err
}

// checkDirs looks whether the store and what is captured have a place.
func (s *settings) checkDirs(log *slog.Logger) error {
	env, closeEnv := engine.OSEnv(func(error) {}, func(string, ...any) {})
	defer closeEnv()
	if err := engine.CheckDir(env, s.dataDir, s.mustExist); err != nil {
		return err
	}
	for _, dir := range []string{s.dataDir, s.ringDir()} {
		if err := placeFor(dir); err != nil {
			return fmt.Errorf("%w: %w", engine.ErrUnusable, err)
		}
	}
	warnReadable(log, s.dataDir, s.captureDir)
	return nil
}

// placeFor looks whether dir can be written to or, where there is none, made.
func placeFor(dir string) error {
	at, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for {
		info, err := os.Stat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at):
			at = filepath.Dir(at)
			continue
		case err != nil:
			return err
		case !info.IsDir():
			return fmt.Errorf("%s is a file, not a directory", at)
		}
		if err := mayWrite(at); err != nil {
			return fmt.Errorf("%s is not writable: %w", at, err)
		}
		return nil
	}
}

// print writes the settings as a file that --config takes, with where each is from. A token
// is not in it, only that there is one.
func (s *settings) print(f *pflag.FlagSet, out io.Writer) error {
	doc := &yaml.Node{Kind: yaml.MappingNode}
	hidden := ""
	f.VisitAll(func(flag *pflag.Flag) {
		value := flag.Value.String()
		switch {
		case !isSetting(flag.Name):
			return
		case flag.Name == "token":
			if value != "" && s.from["token"] != "" {
				hidden = fmt.Sprintf("\n# token: (hidden)  # %s", s.source("token"))
			}
			return
		case value == "" && flag.DefValue == "": // given, it would be taken for a mistake
			return
		}
		tag := map[string]string{"string": "!!str", "duration": "!!str", "bool": "!!bool"}[flag.Value.Type()]
		if tag == "" {
			tag = "!!int"
		}
		doc.Content = append(doc.Content,
			&yaml.Node{Kind: yaml.ScalarNode, Value: flag.Name},
			&yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value, LineComment: "# " + s.source(flag.Name)})
	})
	if _, err := fmt.Fprintf(out, "# statehoused %s (%s)%s\n", version, gitSHA, hidden); err != nil {
		return err
	}
	to := yaml.NewEncoder(out)
	return errors.Join(to.Encode(doc), to.Close())
}

// source says where a setting is from.
func (s *settings) source(name string) string {
	from, given := s.from[name]
	switch {
	case given:
		return from
	case s.fitted[name]:
		return "fits --memory-limit-mb"
	}
	return "default"
}
