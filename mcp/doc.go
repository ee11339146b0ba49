// Package mcp lets models use Statehouse: a server of the Model Context Protocol that stands on the
// Go client. statehousectl mcp serves it on standard input and output, and the daemon over HTTP
// (NewHandler). Either way each request goes to the daemon with the caller's own key, so access, limits and
// captures are those of any client.
//
// There are nine tools: get, list, history, diff, agents and search read; commit, fork and restore write, and are not
// there when the server is read-only. What the server is confined to (Options) is no argument of any tool: a
// model cannot leave what it cannot name.
//
// An answer must not drown its reader. Values among many are shown up to maxValue bytes, those of an answer up to
// maxAnswer in all, and of a larger one its size; get hands out a large value in pieces. Lists have a page and a
// token for the next. An error says what is there now and what to do (failure.go).
//
// Numbers pass through with the digits that they have, which is why arguments are decoded here, from their
// text, and not by the SDK, which makes floating point numbers of them.
//
// Every record is a resource, statehouse://NAMESPACE/AGENT/KEY, percent-encoded; a subscription to one is a watch
// of the daemon (watch.go).
package mcp
