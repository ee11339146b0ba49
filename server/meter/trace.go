package meter

import (
	"context"
	"strings"

	"google.golang.org/grpc/metadata"
)

// TraceID is the id of the trace that a request is part of, 32 hex digits: of its span here, or
// else of what its client sent by W3C Trace Context. Empty: it is part of none.
func TraceID(ctx context.Context) string {
	if c := carriedOf(ctx); c != nil && c.traceID != "" {
		return c.traceID
	}
	for _, parent := range metadata.ValueFromIncomingContext(ctx, "traceparent") {
		if id := traceIDOf(parent); id != "" {
			return id
		}
	}
	return ""
}

// traceIDOf takes the trace id out of a traceparent, VERSION-TRACE-PARENT-FLAGS: empty when that
// is not well formed.
func traceIDOf(parent string) string {
	const version, trace, span, flags = 2, 32, 16, 2
	const length = version + 1 + trace + 1 + span + 1 + flags
	if len(parent) < length || len(parent) > length && (parent[:2] == "00" || parent[length] != '-') {
		return ""
	}
	parts := strings.Split(parent[:length], "-")
	if len(parts) != 4 || len(parts[0]) != version || len(parts[1]) != trace || len(parts[2]) != span {
		return ""
	}
	for _, part := range parts {
		if strings.Trim(part, "0123456789abcdef") != "" {
			return ""
		}
	}
	if parts[0] == "ff" || strings.Trim(parts[1], "0") == "" || strings.Trim(parts[2], "0") == "" {
		return ""
	}
	return parts[1]
}
