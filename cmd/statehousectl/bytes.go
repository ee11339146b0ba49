package main

import (
	"encoding/json"
	"io"
	"os"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/history"
)

// Values that are bytes. Where JSON is shown they are an object with $bytes in base64, as for readers
// that know no bytes; get --raw has them as they are.

// shownAs is a value as JSON.
func shownAs(value json.RawMessage, b *client.Bytes) json.RawMessage {
	if b == nil {
		return value
	}
	text, _ := b.MarshalJSON() // a string and bytes
	return text
}

// valueShape is a value in --json. With a content type it is bytes; without one it is JSON, also where that looks
// like bytes.
type valueShape struct {
	Value       json.RawMessage `json:"value,omitempty"`
	ContentType string          `json:"content_type,omitempty"`
}

func shapeValue(value json.RawMessage, b *client.Bytes) valueShape {
	v := valueShape{Value: shownAs(value, b)}
	if b != nil {
		v.ContentType = b.ContentType
	}
	return v
}

// inHistory is a value as histories have it.
func inHistory(value json.RawMessage, b *client.Bytes) string {
	if b == nil {
		return string(value)
	}
	return history.Bytes(b.ContentType, b.Data)
}

// inputBytes is what a file has, or standard input.
func (a *app) inputBytes(args []string, file string) ([]byte, error) {
	if len(args) == 1 && args[0] != "-" {
		return nil, usagef("bytes come from a file, with -f, or from standard input")
	}
	in, where := a.in, "on standard input"
	if file != "" && file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, failedf("the value cannot be read: %v", err)
		}
		defer f.Close()
		in, where = f, "in "+quote(file)
	}
	return readInput(in, where)
}

// readInput reads a value, whatever it is.
func readInput(in io.Reader, where string) ([]byte, error) {
	value, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err != nil {
		return nil, failedf("the value cannot be read: %v", err)
	}
	if len(value) > maxInput {
		return nil, usagef("the value %s is more than %s long", where, size(maxInput))
	}
	return value, nil
}

// raw prints a value as it is stored: bytes, or the text of the JSON.
func (p *printer) raw(rec *client.Record) error {
	value := []byte(rec.Value)
	if rec.Bytes != nil {
		value = rec.Bytes.Data
	}
	_, err := p.w.Write(value)
	return err
}
