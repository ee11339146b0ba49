package statehousev1

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// TestContractDocument holds docs/CONTRACT.md to the descriptors: each method, message and
// error has the row that is generated here, and there are no others.
func TestContractDocument(t *testing.T) {
	page, err := os.ReadFile("../../../docs/CONTRACT.md")
	if err != nil {
		t.Fatal(err)
	}
	for section, want := range map[string][]string{ // sections are independent: any order
		"## Methods": methodRows(), "## Messages": messageRows(), "## Values of enumerations": enumRows(), "## Errors": errorRows(),
	} {
		_, rest, found := strings.Cut(string(page), section+"\n")
		if !found {
			t.Errorf("there is no section %q", section)
			continue
		}
		text, _, _ := strings.Cut(rest, "\n## ")
		var got []string
		for _, line := range strings.Split(text, "\n") {
			if row, isRow := strings.CutPrefix(line, "| `"); isRow {
				got = append(got, "| `"+row)
			}
		}
		for _, row := range want {
			if !slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, row) }) {
				t.Errorf("%s: there is no row\n%s", section, row)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d rows, want %d", section, len(got), len(want))
		}
	}
}

// methodRows are the rows without their last cell, which says what a method does.
func methodRows() (rows []string) {
	services := File_statehouse_v1_statehouse_proto.Services()
	methods := services.Get(0).Methods()
	for i := range methods.Len() {
		m := methods.Get(i)
		stream := ""
		if m.IsStreamingServer() {
			stream = "stream of "
		}
		rows = append(rows, fmt.Sprintf("| `%s` | `%s` | %s`%s` | ", m.Name(), m.Input().Name(), stream, m.Output().Name()))
	}
	return rows
}

// messageRows have a message's fields of the base contract and those added since.
func messageRows() (rows []string) {
	base := make(map[string]string)
	for _, line := range lines(baseMessages) {
		name, fields, _ := strings.Cut(line, ":")
		base[name] = strings.TrimSpace(fields) + ";"
	}
	messages := File_statehouse_v1_statehouse_proto.Messages()
	for i := range messages.Len() {
		m := messages.Get(i)
		var old, added []string
		for j := range m.Fields().Len() {
			f := m.Fields().Get(j)
			if strings.Contains(base[string(m.Name())], describe(f)+";") {
				old = append(old, fieldCell(f))
			} else {
				added = append(added, fieldCell(f))
			}
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |", m.Name(), strings.Join(old, " · "), strings.Join(added, " · ")))
	}
	return rows
}

// fieldCell is a field in the words of the .proto file, without the packages of types.
func fieldCell(f protoreflect.FieldDescriptor) string {
	text := describe(f)
	if f.IsMap() {
		text = fmt.Sprintf("map<%s, %s> %s = %d", f.MapKey().Kind(), f.MapValue().Kind(), f.Name(), f.Number())
	}
	text = strings.NewReplacer("statehouse.v1.", "", "google.protobuf.", "").Replace(text)
	if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
		text += " (one of " + string(o.Name()) + ")"
	}
	return "`" + text + "`"
}

// errorRows are the rows up to the code's number; server/wire/errors.go has the status of each.
func errorRows() (rows []string) {
	values := File_statehouse_v1_statehouse_proto.Enums().ByName("ErrorCode").Values()
	for i := range values.Len() {
		rows = append(rows, fmt.Sprintf("| `%s` | %d | ", values.Get(i).Name(), values.Get(i).Number()))
	}
	return rows
}

func enumRows() (rows []string) {
	enums := File_statehouse_v1_statehouse_proto.Enums()
	for i := range enums.Len() {
		e := enums.Get(i)
		if e.Name() == "ErrorCode" {
			continue // the section on errors has them
		}
		var values []string
		for j := range e.Values().Len() {
			v := e.Values().Get(j)
			values = append(values, fmt.Sprintf("`%s = %d`", v.Name(), v.Number()))
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s |", e.Name(), strings.Join(values, " · ")))
	}
	return rows
}
