package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// A file appears whole or not at all.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	write := func(text string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			_, werr := io.WriteString(w, text)
			return errors.Join(werr, err)
		}
	}
	holds := func(want string) {
		t.Helper()
		got, err := os.ReadFile(name)
		if err != nil || string(got) != want {
			t.Errorf("the file holds %q, %v, want %q", got, err, want)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("%d files are left, %v", len(entries), err)
		}
	}
	broken := errors.New("broken")
	if err := writeFile(name, false, write("half", broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%d files are left behind, %v", len(entries), err)
	}
	if err := writeFile(name, false, write("one", nil)); err != nil {
		t.Error(err)
	}
	holds("one")
	if err := writeFile(name, false, write("two", nil)); !errors.As(err, new(errFailed)) {
		t.Errorf("it was replaced unasked: %v", err)
	}
	holds("one")
	if err := writeFile(name, true, write("half", broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	holds("one")
	if err := writeFile(name, true, write("two", nil)); err != nil {
		t.Error(err)
	}
	holds("two")
	// One that appears while the dump is written is not replaced either.
	other := filepath.Join(dir, "other")
	err := writeFile(other, false, func(w io.Writer) error {
		return errors.Join(os.WriteFile(other, []byte("theirs"), 0o600), write("ours", nil)(w))
	})
	if got, _ := os.ReadFile(other); !errors.As(err, new(errFailed)) || string(got) != "theirs" {
		t.Errorf("it holds %q, %v", got, err)
	}
}
