package fuzz

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// simplifyConfig tries the defaults: all of them, then one after the other.
func (s *Shrinker) simplifyConfig() {
	if s.Config == (sim.Config{}) || s.try(s.steps, sim.Config{}) {
		return
	}
	for i := range reflect.TypeFor[sim.Config]().NumField() {
		c := s.Config
		if field := reflect.ValueOf(&c).Elem().Field(i); !field.IsZero() {
			field.SetZero()
			s.try(s.steps, c)
		}
	}
}

// simplify tries simpler forms of each step.
func (s *Shrinker) simplify() {
	for i := 0; i < len(s.steps); i++ {
		for tried := 0; !s.spent() && i < len(s.steps); {
			forms := simpler(&s.steps[i])
			if tried >= len(forms) {
				break
			}
			next := slices.Clone(s.steps)
			if next[i] = forms[tried]; !s.try(next, s.Config) {
				tried++
			} else {
				tried = 0 // of the simpler step
			}
		}
	}
}

// simpler lists what could stand in a step's place. Each is closer to a step that no form
// is simpler than.
func simpler(st *step.Step) (forms []step.Step) {
	form := func(useful bool, change func(x *step.Step)) {
		if useful {
			x := *st
			change(&x)
			forms = append(forms, x)
		}
	}
	switch st.Verb {
	case step.Call:
		return simplerCalls(st)
	case step.Crash, step.Fault:
		if st.Verb == step.Crash || st.Fault.Kind == simdisk.PowerCut {
			form(st.Crash.Seed != 0, func(x *step.Step) { x.Crash.Seed = 0 })
			form(st.Crash.Mode != "", func(x *step.Step) { x.Crash.Mode = "" })
		}
		form(st.Fault.Nth > 1, func(x *step.Step) { x.Fault.Nth = 1 })
		form(st.Fault.Nth > 2, func(x *step.Step) { x.Fault.Nth-- })
	case step.Jump:
		form(st.Duration > time.Hour, func(x *step.Step) { x.Duration = time.Hour })
		form(st.Duration < -time.Hour, func(x *step.Step) { x.Duration = -time.Hour })
	case step.Rot, step.Truncate, step.Tamper:
		form(st.Nth > 1 && st.Verb == step.Tamper, func(x *step.Step) { x.Nth = 1 })
		form(st.Where != 0.5, func(x *step.Step) { x.Where = 0.5 })
		form(st.Bit != 0, func(x *step.Step) { x.Bit = 0 })
	}
	return forms
}

// simplerCalls lists calls that ask for less.
func simplerCalls(st *step.Step) (forms []step.Step) {
	form := func(useful bool, change func(in *history.Input)) {
		if useful {
			x := *st
			change(&x.In)
			forms = append(forms, x)
		}
	}
	in := &st.In
	form(len(in.Metadata)+len(in.Keys)+len(in.Heads) > 0, func(in *history.Input) { in.Metadata, in.Keys, in.Heads = nil, nil, nil })
	for j := range in.Keys {
		form(true, func(in *history.Input) { in.Keys = without(in.Keys, j) })
	}
	for j := range in.Heads {
		form(true, func(in *history.Input) { in.Heads = without(in.Heads, j) })
	}
	for j := range in.Names {
		form(len(in.Names) > 1, func(in *history.Input) { in.Names = without(in.Names, j) })
	}
	for j := range in.Writes {
		change := func(useful bool, f func(w *history.Write)) {
			form(useful, func(in *history.Input) { in.Writes = slices.Clone(in.Writes); f(&in.Writes[j]) })
		}
		w := &in.Writes[j]
		form(len(in.Writes) > 1, func(in *history.Input) { in.Writes = without(in.Writes, j) })
		change(w.Expected != nil, func(w *history.Write) { w.Expected = nil })
		change(!w.Delete && longer(w.Value, st.ID), func(w *history.Write) { w.Value = fmt.Sprint(st.ID) })
	}
	form(longer(in.Value, st.ID), func(in *history.Input) { in.Value = fmt.Sprint(st.ID) })
	form(in.Expected != nil, func(in *history.Input) { in.Expected = nil })
	v := reflect.ValueOf(in).Elem()
	for _, name := range []string{"At", "AtTime", "Prefix", "Limit", "Reverse", "OldestFirst", "NoValues", "From", "To", "FromTime", "ToTime"} {
		form(!v.FieldByName(name).IsZero(), func(in *history.Input) { reflect.ValueOf(in).Elem().FieldByName(name).SetZero() })
	}
	return forms
}

// longer reports whether a value is longer than a call's number, which would do as well.
func longer(value string, id int) bool { return len(value) > len(fmt.Sprint(id)) }

func without[T any](list []T, i int) []T { return slices.Delete(slices.Clone(list), i, i+1) }

// inOneRequest tries, of each interactive transaction, to write all at once instead.
func (s *Shrinker) inOneRequest() {
	for _, txn := range unitsOf(s.steps, func(st *step.Step) string {
		if st.Verb != step.Call || st.Kind != history.Begin {
			return ""
		}
		return st.In.TxnID
	}) {
		var next []step.Step
		var writes []history.Write
		gone := make(map[int]bool)
		for _, st := range s.steps {
			switch in := &st.In; {
			case gone[st.Of]:
				continue
			case st.Verb != step.Call || in.TxnID != txn:
			case st.Kind == history.StageWrite || st.Kind == history.StageDelete:
				writes = append(writes, history.Write{Name: in.Name(), Value: in.Value, Delete: st.Kind == history.StageDelete, Expected: in.Expected})
				gone[st.ID] = true
				continue
			case st.Kind == history.Begin:
				gone[st.ID] = true
				continue
			case st.Kind == history.Commit && len(writes) > 0:
				st.Kind, in.Writes = history.Transact, writes
			case st.Kind != history.GetTxn:
				in.TxnID = ""
			}
			next = append(next, st)
		}
		s.try(next, s.Config)
	}
}

// rename tries the first client's name for the others: one lane is easier to read.
func (s *Shrinker) rename() {
	clients := unitsOf(s.steps, func(st *step.Step) string { return st.Client })
	for _, client := range clients[min(1, len(clients)):] {
		next := slices.Clone(s.steps)
		for i := range next {
			if next[i].Client == client {
				next[i].Client = clients[0]
			}
		}
		s.try(next, s.Config)
	}
}

// tidy gives calls and clients small names, in order.
func tidy(steps []step.Step) []step.Step {
	ids, clients := map[int]int{0: 0}, map[string]string{"": ""}
	out := slices.Clone(steps)
	for i := range out {
		st := &out[i]
		if st.Verb == step.Call {
			if _, known := clients[st.Client]; !known {
				clients[st.Client] = fmt.Sprintf("c%d", len(clients))
			}
			ids[st.ID] = len(ids)
			st.ID = ids[st.ID]
		}
		st.Client, st.Of, st.In.PageOf = clients[st.Client], ids[st.Of], ids[st.In.PageOf]
	}
	return out
}
