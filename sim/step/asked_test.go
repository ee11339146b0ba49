package step

import (
	"reflect"
	"testing"

	"statehouse.dev/statehouse/history"
)

// TestAsked: what agents ask besides reads and writes is printed as it is read.
func TestAsked(t *testing.T) {
	met := make(map[history.Op]bool)
	for _, text := range []string{
		`c1 transact t1 append alice/log- {"n":1} ttl=5s duein=2s expect=3 put alice/k {} due=3s new alice/x {"n":1}`,
		`c1 transact t1 incr alice/used /tokens/a%3Ab 3 min=-1 max=1e400 merge ns:alice/k {"a":null} holds alice/worker@7 if alice/k@2`,
		`c1 transact t1 clear alice/log- vanish ns:bob restore alice/k at=3 restore alice/ time=2s fork carol from=ns:alice at=3`,
		`c1 transact t1 acquire alice/worker holder=w1 ttl=5s release alice/worker@7 complete alice/job@9`,
		`c1 transact t1 claim alice/job- holder=w1 ttl=5s limit=2 => token=due%3Ajob-1@4`,
		`c1 transact t1 claim default:*/job- holder=w1 ttl=5s`,
		`c1 transact t1 put alice/k bytes:image/png;base64,AAEC`,
		`c1 transact t1 put alice/k bytes:text/plain;%20charset=x;base64,AAEC => {"n":1}`,
		`c1 renew alice/worker@7 ttl=5s ns:bob/w@8 => lost=false,true`,
		`c1 leases alice => leases=worker@7`,
		`c1 leases default:* prefix=w limit=2 page=#3`,
		`c1 refresh alice/k bob/k ttl=5s => versions=1,0`,
		`c1 find alice prefix=log- limit=2 where=/n:>=:3 unless=/a/b:exists meta=actor:=:%22x%22 nometa=k:in:%5B1%5D bychange withmeta`,
		`c1 find default:* at=3 native minread=2`,
		`c1 diff alice at=3 prefix=k vs=ns:bob vsat=5`,
		`c1 diff alice time=2s vstime=4s`,
		`c1 agent alice => origin=bob@3`,
		`c1 keys alice delimiter=%2F => folders=a/,b/`,
		`c1 replay alice allops lineage`,
		`c1 watch alice allops lease=worker due &`,
	} {
		s, err := Parse(text)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, w := range s.In.Writes {
			met[w.Op] = true
		}
		again, err := Parse(s.String())
		if err != nil || s.String() != text || !reflect.DeepEqual(again, s) {
			t.Errorf("%s\nis printed as\n%s\n%v", text, s.String(), err)
		}
	}
	for _, op := range history.Ops() {
		if !met[op] {
			t.Errorf("no step has %q", op)
		}
	}
}
