package mcp

import (
	"fmt"
	"net/url"
	"strings"

	"statehouse.dev/statehouse/client"
)

const scheme = "statehouse://"

// uriOf is the URI of a record: each of its three names percent-encoded as a path segment is, a slash among
// the rest, so that there are always two slashes between them.
func uriOf(n client.RecordName) string {
	return scheme + segment(n.Namespace) + "/" + segment(n.Agent) + "/" + segment(n.Key)
}

// segment encodes all but unreserved characters (RFC 3986), as templates expand {name}.
func segment(name string) string {
	return strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
}

// parseURI reads the URI of a record, and the moment in it, "" for now. It is read by hand: what stands where a
// URL has its host is a name, in which all bytes can be encoded and case counts.
func parseURI(uri string) (n client.RecordName, asOf string, err error) {
	rest, ours := strings.CutPrefix(uri, scheme)
	rest, query, asked := strings.Cut(rest, "?")
	parts := strings.Split(rest, "/")
	if !ours || len(parts) != 3 || strings.Contains(rest, "#") {
		return n, "", fmt.Errorf("%q is not statehouse://NAMESPACE/AGENT/KEY, each percent-encoded", uri)
	}
	for i, name := range []*string{&n.Namespace, &n.Agent, &n.Key} {
		if *name, err = url.PathUnescape(parts[i]); err != nil || *name == "" {
			return n, "", fmt.Errorf("%q is not statehouse://NAMESPACE/AGENT/KEY, each percent-encoded", uri)
		}
	}
	if asked {
		values, err := url.ParseQuery(query)
		if err != nil || len(values) != 1 || len(values["as_of"]) != 1 {
			return n, "", fmt.Errorf("%q asks for something else than as_of", uri)
		}
		asOf = values.Get("as_of")
	}
	return n, asOf, nil
}
