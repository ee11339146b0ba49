package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"statehouse.dev/statehouse/client/statehousetest"
)

// TestMCP: the command serves the protocol on its standard input and output, reaches the daemon as every
// command does, and ends without an error when its input ends, or it is interrupted.
func TestMCP(t *testing.T) {
	d := statehousetest.Start(t, statehousetest.Options{Token: "secret"})
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("STATEHOUSE_ADDRESS", d.Address)
	t.Setenv("STATEHOUSE_TOKEN", "secret")
	for name, c := range map[string]struct {
		arguments, environment string
		reached                string // the namespace
		refused                string // arguments of get that are no arguments of this server's
	}{ // any order
		"default":              {"mcp", "", "default", ""},
		"a namespace":          {"--namespace ns mcp", "", "ns", `{"namespace":"other","agent":"a","key":"k"}`},
		"one of the variables": {"mcp", "ns", "ns", `{"namespace":"other","agent":"a","key":"k"}`},
		"an agent":             {"mcp --agent a", "", "default", `{"agent":"a","key":"k"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("STATEHOUSE_NAMESPACE", c.environment)
			session, ended := serveMCP(t, c.arguments)
			call := func(tool, arguments string) (string, bool) {
				result, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: json.RawMessage(arguments)})
				if err != nil {
					t.Fatal(err)
				}
				return result.Content[0].(*sdk.TextContent).Text, result.IsError
			}
			agent := `"agent":"a",`
			if strings.Contains(c.arguments, "--agent") {
				agent = ""
			}
			if text, refused := call("commit", `{`+agent+`"puts":[{"key":"k","value":{"n":1}}],"reason":"x"}`); refused {
				t.Error(text)
			}
			if c.refused != "" {
				if text, refused := call("get", c.refused); !refused || !strings.Contains(text, "additional properties") {
					t.Errorf("get %s: %s", c.refused, text)
				}
			}
			past, err := d.Client(t).In(c.reached).Get(t.Context(), "a", "k")
			if err != nil || !past.Exists {
				t.Errorf("in namespace %s: %+v, %v", c.reached, past, err)
			}
			if err := session.Close(); err != nil {
				t.Fatal(err)
			}
			if code := <-ended; code != exitOK {
				t.Errorf("at the end of its input it exits with %d", code)
			}
		})
	}
}

// serveMCP runs the command, and connects to it. What it exits with comes on ended.
func serveMCP(t *testing.T, arguments string) (session *sdk.ClientSession, ended <-chan int) {
	t.Helper()
	theirIn, ourOut := io.Pipe()
	ourIn, theirOut := io.Pipe()
	var stderr bytes.Buffer
	codes := make(chan int, 1)
	go func() {
		codes <- execute(t.Context(), newRoot(theirIn, theirOut, &stderr), strings.Fields(arguments))
		_ = theirOut.Close()
	}()
	session, err := sdk.NewClient(&sdk.Implementation{Name: "peer", Version: "1"}, nil).Connect(t.Context(), &sdk.IOTransport{Reader: ourIn, Writer: ourOut}, nil)
	if err != nil {
		t.Fatalf("%v; standard error: %s", err, stderr.String())
	}
	return session, codes
}

// TestMCPRefused: what is wrong with how it is started is told, and it does not serve.
func TestMCPRefused(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for arguments, want := range map[string]string{"--json mcp": "leave --json", "mcp x": "one argument too many", "mcp --agent=": "--agent is empty"} { // any order
		var out, errOut bytes.Buffer
		code := execute(t.Context(), newRoot(strings.NewReader(""), &out, &errOut), strings.Fields(arguments))
		if code != exitUsage || out.Len() > 0 || !strings.Contains(errOut.String(), want) {
			t.Errorf("%s: exits with %d, prints %q, and says %q", arguments, code, out.String(), errOut.String())
		}
	}
}

// TestMCPInterrupted: with nobody there to answer it says so, serves, and ends when it is interrupted.
func TestMCPInterrupted(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	ctx, interrupt := context.WithCancel(t.Context())
	in, _ := io.Pipe()
	told := &signalling{wrote: make(chan struct{}, 10)}
	codes := make(chan int, 1)
	go func() {
		codes <- execute(ctx, newRoot(in, io.Discard, told), []string{"--address", "127.0.0.1:1", "mcp"})
	}()
	<-told.wrote
	interrupt()
	if code := <-codes; code != exitOK || !strings.Contains(told.String(), "cannot reach 127.0.0.1:1") {
		t.Errorf("it exits with %d and says %q", code, told.String())
	}
}

// signalling is a buffer that tells of each write.
type signalling struct {
	bytes.Buffer
	wrote chan struct{}
}

func (s *signalling) Write(p []byte) (int, error) {
	n, err := s.Buffer.Write(p)
	s.wrote <- struct{}{}
	return n, err
}
