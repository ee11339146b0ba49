// Package filter selects records by what is in their values and by what the commits that wrote
// them say of themselves.
//
// A filter is a list of conditions that must all hold. A condition names a place, by a JSON
// Pointer (RFC 6901) into the value or by a key of the metadata, and says how what is there
// compares with one operand or several:
//
//	/status = "open"      /n >= 3      /kind in ["a","b"]      /error exists      actor = planner
//
// What is at no place meets no condition: != holds for what is there and is something else. A
// condition that is negated holds exactly where it does not hold otherwise, so also where nothing is.
//
// Values of different kinds are never equal, and neither less nor greater than one another. Numbers
// and strings have an order, the other kinds have none. Numbers compare exactly, strings by bytes,
// arrays and objects only for equality (package jsontext).
//
// A value that is not JSON text, or is not there any more, meets no condition on values, also
// no negated one: there is nothing to ask. The same holds for metadata that are not known.
//
// A filter is compiled to a tree of the pointers' parts. A value is walked along it in one pass that
// builds nothing and ends as soon as the answer is known, so that what a filter costs is about
// what it costs to read the value's text up to there.
package filter
