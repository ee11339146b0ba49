package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/sim/intent"
)

func register(ctx context.Context, e *Env) error {
	agent, key := e.agent(), e.key("reg/")
	switch e.Rand.IntN(8) {
	case 0, 1, 2:
		c, err := e.Client.Transact(ctx, client.Batch{Writes: []client.Write{client.Put(agent, key, e.value())}})
		e.heard(c.CommitTS, c.CommitTime)
		return err
	case 3:
		_, err := e.Client.Transact(ctx, client.Batch{Writes: []client.Write{client.Delete(agent, key)}})
		return err
	case 4:
		rec, err := e.Client.Get(ctx, agent, key)
		if err != nil || rec.Version == 0 {
			return err
		}
		if e.chance(0.5) {
			_, err = e.Client.GetAtVersion(ctx, agent, key, client.Version(1+e.Rand.IntN(int(rec.Version))))
			return err
		}
		// Perhaps somebody is writing the next one: then it is there for good, or not yet.
		if _, err = e.Client.GetAtVersion(ctx, agent, key, rec.Version+1); err != nil {
			return err
		}
		_, err = e.Client.Get(ctx, agent, key)
		return err
	case 5:
		return drain(e.Client.History(ctx, agent, key, client.HistoryQuery{OldestFirst: e.chance(0.5)}), 12)
	}
	_, err := e.Client.Get(ctx, agent, key)
	return err
}

func counter(ctx context.Context, e *Env) error {
	const key = "counter"
	agent := e.agent()
	if e.chance(0.5) {
		_, err := e.Client.RunTxn(ctx, func(t *intent.Txn) error {
			rec, err := t.Get(ctx, agent, key)
			if err != nil {
				return err
			}
			return t.Write(ctx, agent, key, numbered(number(rec.Value)+1))
		})
		return err
	}
	rec, err := e.Client.Get(ctx, agent, key)
	if err != nil {
		return err
	}
	w := client.Put(agent, key, numbered(number(rec.Value)+1))
	if e.chance(0.8) {
		expected := rec.Version
		if !rec.Exists {
			expected = 0
		}
		w = w.IfVersion(expected)
	}
	_, err = e.Client.Transact(ctx, client.Batch{Writes: []client.Write{w}})
	return err
}

// respelled is a value of Env.value in other JSON: its members in another order, an
// escape in a name, a number with a fraction.
func respelled(v json.RawMessage) json.RawMessage {
	var x struct {
		By string
		N  int
		X  json.RawMessage
	}
	_ = json.Unmarshal(v, &x) // it is one of ours
	if len(x.X) > 0 {
		return fmt.Appendf(nil, `{"\u0078":%s,"n":%d.0,"\u0062y":%q}`, x.X, x.N, x.By)
	}
	return fmt.Appendf(nil, `{"n":%d.0,"\u0062y":%q}`, x.N, x.By)
}

// Accounts, and what is on each of them at first.
const (
	accounts = 4
	deposit  = 100
)

func account(i int) client.RecordName {
	return client.RecordName{Agent: fmt.Sprintf("bank%d", i), Key: "account"}
}

func transfer(ctx context.Context, e *Env) error {
	if e.chance(0.3) {
		return countMoney(ctx, e)
	}
	from := e.Rand.IntN(accounts)
	to := (from + 1 + e.Rand.IntN(accounts-1)) % accounts
	amount := 1 + e.Rand.IntN(20)
	_, err := e.Client.RunTxn(ctx, func(t *intent.Txn) error {
		recs, err := t.BatchGet(ctx, account(from), account(to))
		if err != nil {
			return err
		}
		for i, rec := range recs {
			balance := deposit
			if rec.Exists {
				balance = number(rec.Value)
			}
			if i == 0 {
				balance -= amount
			} else {
				balance += amount
			}
			if err := t.Write(ctx, rec.Agent, rec.Key, numbered(balance)); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

func countMoney(ctx context.Context, e *Env) error {
	var names []client.RecordName
	for i := range accounts {
		names = append(names, account(i))
	}
	recs, err := e.Client.BatchGet(ctx, names)
	if err != nil {
		return err
	}
	sum := 0
	for _, rec := range recs {
		if rec.Exists {
			sum += number(rec.Value)
		} else {
			sum += deposit
		}
	}
	if sum != accounts*deposit {
		return &Broken{fmt.Sprintf("there is %d on all accounts together, and should be %d", sum, accounts*deposit)}
	}
	return nil
}

func appendList(ctx context.Context, e *Env) error {
	const agent, key = "lists", "list"
	var before []string
	entry := fmt.Sprintf("%s-%d", e.Name, e.written)
	e.written++
	_, err := e.Client.RunTxn(ctx, func(t *intent.Txn) error {
		rec, err := t.Get(ctx, agent, key)
		if err != nil {
			return err
		}
		before = entries(rec.Value)
		if len(before) > 30 { // long enough: begin anew
			before = nil
		}
		v, _ := json.Marshal(map[string][]string{"list": append(slices.Clone(before), entry)}) // of strings: cannot fail
		return t.Write(ctx, agent, key, v)
	})
	if slices.Contains(before, entry) && err == nil {
		return &Broken{fmt.Sprintf("%s was in the list before it was appended", entry)}
	}
	return err
}

func entries(v json.RawMessage) []string {
	var x struct{ List []string }
	_ = json.Unmarshal(v, &x) // absent is empty
	return x.List
}

func oneShot(ctx context.Context, e *Env) error {
	b := client.Batch{Conditions: client.Conditions{Metadata: map[string]string{"actor": e.Name}}}
	for range 1 + e.Rand.IntN(3) {
		b.Writes = append(b.Writes, client.Put(e.agent(), e.key([]string{"one/", "reg/"}[e.Rand.IntN(2)]), e.value()))
	}
	soon, cancel := e.hurried(ctx, 0.2)
	defer cancel()
	c, err := e.Client.Transact(soon, b)
	var unknown *client.OutcomeUnknownError
	if err != nil && !errors.As(err, &unknown) {
		return err
	}
	b.TxnID = c.TxnID
	if unknown != nil {
		b.TxnID = unknown.TxnID
	}
	if unknown == nil && e.chance(0.4) {
		return nil
	}
	if e.chance(0.5) {
		_, err = e.Client.GetTransaction(ctx, b.TxnID)
		return err
	}
	switch {
	case e.chance(0.1): // other operations under the same id: refused, if it was applied
		b.Writes[0].Value = e.value()
	case e.chance(0.5): // the same, encoded anew
		for i := range b.Writes {
			b.Writes[i].Value = respelled(b.Writes[i].Value)
		}
	}
	again, err := e.Client.Transact(ctx, b)
	if err == nil && unknown == nil && again.CommitTS != c.CommitTS {
		return &Broken{fmt.Sprintf("a commit sent again took effect at %d, having done so at %d", again.CommitTS, c.CommitTS)}
	}
	return err
}

func expiry(ctx context.Context, e *Env) error {
	timeout := time.Duration(20+e.Rand.IntN(150)) * time.Millisecond
	t, err := e.begin(ctx, timeout)
	if err != nil {
		return err
	}
	for range 1 + e.Rand.IntN(2) {
		agent, key := e.agent(), e.key("exp/")
		if e.chance(0.4) {
			_, err = t.Get(ctx, agent, key)
		} else if e.chance(0.2) {
			err = t.Delete(ctx, agent, key)
		} else {
			err = t.Write(ctx, agent, key, e.value())
		}
		if err != nil {
			return err
		}
	}
	if e.chance(0.5) {
		if err := e.Pause(ctx, time.Duration(e.Rand.Int64N(int64(timeout)))); err != nil {
			return err
		}
	}
	if e.chance(0.15) {
		return t.Abort(ctx)
	}
	soon, cancel := e.hurried(ctx, 0.2)
	defer cancel()
	if _, err = t.Commit(soon); err == nil && e.chance(0.3) || soon != ctx && e.chance(0.6) {
		err = t.Abort(ctx) // perhaps too late: it must say so
	}
	if e.chance(0.3) {
		_, err = e.Client.GetTransaction(ctx, t.ID())
	}
	return err
}

func skew(ctx context.Context, e *Env) error {
	const agent = "hospital"
	doctors := []string{"oncall/ann", "oncall/bob"}
	me := e.Rand.IntN(2)
	_, err := e.Client.RunTxn(ctx, func(t *intent.Txn) error {
		on := 0
		if e.chance(0.5) { // by a range, which sees who comes as well as who goes
			for _, err := range t.ListKeys(ctx, agent, client.ListQuery{Prefix: "oncall/"}) {
				if err != nil {
					return err
				}
				on++
			}
		} else {
			recs, err := t.BatchGet(ctx, client.RecordName{Agent: agent, Key: doctors[0]}, client.RecordName{Agent: agent, Key: doctors[1]})
			if err != nil {
				return err
			}
			for _, rec := range recs {
				if rec.Exists {
					on++
				}
			}
		}
		if on == 2 {
			return t.Delete(ctx, agent, doctors[me])
		}
		return t.Write(ctx, agent, doctors[me], e.value())
	})
	return err
}

// mixed does a little of everything inside of one transaction.
func mixed(ctx context.Context, e *Env) error {
	t, err := e.begin(ctx, 0)
	if err != nil {
		return err
	}
	agent := e.agent()
	t.Metadata = map[string]string{"actor": e.Name}
	for range 2 + e.Rand.IntN(4) {
		key := e.key("mix/")
		switch e.Rand.IntN(6) {
		case 0:
			_, err = t.Get(ctx, agent, key)
		case 1:
			err = t.Delete(ctx, agent, key)
		case 2:
			err = drain(t.ListKeys(ctx, agent, client.ListQuery{Prefix: "mix/", Reverse: e.chance(0.5)}), 1+e.Rand.IntN(6))
		case 3:
			err = drain(t.Scan(ctx, agent, client.ListQuery{Prefix: "mix/", Reverse: e.chance(0.5)}), 1+e.Rand.IntN(6))
		default:
			err = t.Write(ctx, agent, key, e.value())
		}
		if err != nil {
			_ = t.Abort(ctx) // it expires otherwise
			return err
		}
	}
	if e.chance(0.1) {
		return t.Abort(ctx)
	}
	_, err = t.Commit(ctx)
	return err
}
