package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// What JUnit's XML is made of, as far as GitHub, GitLab and Jenkins read it. The
// format has no standard; this is what they have in common.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
		Out        string          `xml:"system-out,omitempty"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"` // the guarantee, or what else is wrong
		Text    string `xml:",chardata"`
	}
)

// junit writes what passed and failed as JUnit XML: a suite for each line of the
// summary. Seeds that passed are one case, together.
func (c *ciRun) junit(w io.Writer) error {
	all := junitSuites{Name: "statehouse-sim ci", Time: seconds(c.total().Seconds)}
	for _, g := range c.groups {
		s := junitSuite{
			Name: g.What, Tests: len(g.cases), Time: seconds(g.Seconds), Timestamp: c.started.UTC().Format(time.RFC3339), Out: g.Text,
			Properties: []junitProperty{{"commit", commit()}, {"command", c.again}},
		}
		for i := range g.cases {
			k := &g.cases[i]
			x := junitCase{Class: "statehouse-sim." + g.What, Name: k.name, Time: seconds(k.seconds)}
			if k.failure != nil {
				s.Failures++
				x.Failure = k.failure.junit()
			}
			s.Cases = append(s.Cases, x)
		}
		all.Tests, all.Failures = all.Tests+s.Tests, all.Failures+s.Failures
		all.Suites = append(all.Suites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (f *ciFailure) junit() *junitFailure {
	var text strings.Builder
	f.print(&text)
	kind := f.Guarantee
	if kind == "" {
		kind = f.Title
	}
	return &junitFailure{Message: f.Title + ": " + firstLines(f.Sentence, 1), Type: kind, Text: text.String()}
}

func seconds(s float64) string { return fmt.Sprintf("%.3f", s) }
