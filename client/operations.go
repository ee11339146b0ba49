package client

import (
	"context"
	"encoding/json"
)

// Operations that the daemon evaluates when the commit's turn comes: what to do with what is there,
// so that nobody has to read first, and none conflicts with another. They are writes of Transact and
// of transactions that the client holds.

// Put is a write of value, a JSON object.
func Put(agent, key string, value json.RawMessage) Write {
	return Write{RecordName: RecordName{Agent: agent, Key: key}, Value: value}
}

// PutBytes is a write of bytes, of a content type.
func PutBytes(agent, key, contentType string, data []byte) Write {
	return Write{RecordName: RecordName{Agent: agent, Key: key}, Bytes: &Bytes{ContentType: contentType, Data: data}}
}

// Delete is a write that deletes.
func Delete(agent, key string) Write {
	return Write{RecordName: RecordName{Agent: agent, Key: key}, Tombstone: true}
}

// A Bound is a limit of what an increment may come to.
type Bound func(*Sum)

// AtLeast refuses an increment that comes to less, with ErrEvaluation.
func AtLeast(n json.Number) Bound { return func(s *Sum) { s.Least = n } }

// AtMost refuses an increment that comes to more, with ErrEvaluation.
func AtMost(n json.Number) Bound { return func(s *Sum) { s.Most = n } }

// Increment adds to the number at a JSON Pointer (RFC 6901) in a record's value, such as "/tokens/used",
// exactly. A record or a member that is not there counts as 0.
func Increment(agent, key, pointer string, delta json.Number, bounds ...Bound) Write {
	w := Write{RecordName: RecordName{Agent: agent, Key: key}, Sum: &Sum{Pointer: pointer, Delta: delta}}
	for _, bound := range bounds {
		bound(w.Sum)
	}
	return w
}

// Merge applies a JSON Merge Patch (RFC 7396) to a record's value; {} if there is no record.
func Merge(agent, key string, patch json.RawMessage) Write {
	w := Put(agent, key, patch)
	w.Patch = true
	return w
}

// Append writes a value under the next key of a sequence: the prefix and 16 digits, from
// 0000000000000001. No number is given twice.
func Append(agent, prefix string, value json.RawMessage) Write {
	w := Put(agent, prefix, value)
	w.Append = true
	return w
}

// PutIfAbsent writes a value if the key does not exist, and otherwise leaves what is there, which the
// result has.
func PutIfAbsent(agent, key string, value json.RawMessage) Write {
	w := Put(agent, key, value)
	w.IfAbsent = true
	return w
}

// Increment commits an increment, and returns the record that it left.
func (c *Client) Increment(ctx context.Context, agent, key, pointer string, delta json.Number, bounds ...Bound) (Record, error) {
	rec, _, err := c.evaluate(ctx, Increment(agent, key, pointer, delta, bounds...))
	return rec, err
}

// Merge commits a merge patch, and returns the record that it left.
func (c *Client) Merge(ctx context.Context, agent, key string, patch json.RawMessage) (Record, error) {
	rec, _, err := c.evaluate(ctx, Merge(agent, key, patch))
	return rec, err
}

// Append commits an append, and returns the record that it made.
func (c *Client) Append(ctx context.Context, agent, prefix string, value json.RawMessage) (Record, error) {
	rec, _, err := c.evaluate(ctx, Append(agent, prefix, value))
	return rec, err
}

// PutIfAbsent commits a value if the key does not exist. Otherwise it returns the record that there is, and that it
// existed.
func (c *Client) PutIfAbsent(ctx context.Context, agent, key string, value json.RawMessage) (rec Record, existed bool, err error) {
	return c.evaluate(ctx, PutIfAbsent(agent, key, value))
}

// evaluate commits one operation.
func (c *Client) evaluate(ctx context.Context, w Write) (rec Record, existed bool, err error) {
	commit, err := c.Transact(ctx, Batch{Writes: []Write{w}})
	if err != nil {
		return Record{}, false, err
	}
	if len(commit.Results) != 1 {
		return Record{}, false, broken("no result of an operation")
	}
	rec = commit.Record(0, w)
	return rec, commit.Results[0].Existed, nil
}
