package fuzz

import "google.golang.org/protobuf/reflect/protoreflect"

// leftToAsks are methods and fields that mean something only together: they are left out of what is
// asked at random, and asked by programs (package askers).
var leftToAsks = map[string]bool{
	"RenewLeases": true, "ListLeases": true, "RefreshExpiry": true, "Find": true, "Diff": true, "GetAgent": true,
	"put": true, "increment": true, "merge_json": true, "delete_prefix": true, "delete_agent": true, "restore": true, "fork": true,
	"acquire": true, "release": true, "claim": true, "complete": true, "lease": true, "due": true, "all_operations": true, "with_lineage": true,
	"min_read_ts": true, "delimiter": true, "value_bytes": true, "content_type": true, "all": true,
}

// asksMore reports whether a message has one of them.
func asksMore(m protoreflect.Message) (more bool) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch more = more || leftToAsks[string(f.Name())]; {
		case f.IsMap() || f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				more = more || asksMore(v.List().Get(i).Message())
			}
		default:
			more = more || asksMore(v.Message())
		}
		return !more
	})
	return more
}
