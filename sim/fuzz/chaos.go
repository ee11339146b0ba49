package fuzz

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
	"statehouse.dev/statehouse/sim/workload"
)

// chaos is a client without a program: it calls any method of the contract with any field set
// or unset. What a field is set to follows from its name and type, so that a method or field
// that is new is called, too. Most requests are right; of some one thing is wrong.
type chaos struct {
	w    *sim.World
	p    *sim.Program
	s    *Swarm
	r    *rand.Rand
	name string

	asStruct bool // the values of the request that is being made

	began, used []string // names of transactions: open perhaps, and any
	transacts   []proto.Message
	pages       []page   // answers with another page
	seen        []uint64 // commits heard of
	versions    map[history.Name]uint64
	watches     int
}

// page is an answer that has another page.
type page struct {
	of      int
	request proto.Message
	method  *step.Method
}

// unleash starts a chaos client.
func unleash(w *sim.World, s *Swarm) {
	const name = "chaos"
	w.Launch(name, func(p *sim.Program) {
		c := &chaos{w: w, p: p, s: s, name: name, r: simdisk.Stream(w.Seed(), "chaos"), versions: make(map[history.Name]uint64)}
		for range s.ops {
			if p.Over() {
				return
			}
			c.call()
		}
	})
}

func (c *chaos) chance(p float64) bool { return c.r.Float64() < p }

// weights of methods that are called more often, or less, than the others.
var weights = map[string]int{
	"Transact": 6, "BeginTransaction": 2, "Write": 3, "Commit": 2, "ScanPrefix": 3, "ListKeys": 2, "GetHistory": 2,
}

// call makes one request.
func (c *chaos) call() {
	method := c.method()
	m := method.NewRequest()
	c.asStruct = c.chance(0.3)
	again := method.Word == "Transact" && len(c.transacts) > 0 && c.chance(0.3)
	if again {
		m = c.transactAgain()
	} else if len(c.pages) > 0 && c.chance(0.25) {
		method, m = c.nextPage()
	} else {
		c.fill(m.ProtoReflect())
		if method.Kind == history.Begin {
			c.send(step.Step{Verb: step.Call, Client: c.name, Kind: history.Begin, In: history.Input{TxnID: c.w.FreshTxn(), Limit: uint64(c.r.IntN(3) * 400)}}, method, m)
			return
		}
	}
	if !again && c.chance(0.2) {
		c.mutate(m.ProtoReflect())
	}
	if method.Word == "Transact" {
		c.transacts = append(c.transacts, m)
	}
	s := sim.Text(c.name, method, m)
	if s.Method != "" && c.chance(0.03) && !strings.Contains(s.Message, `"value":`) { // cut short, or with a byte that is wrong
		s.Message = c.garble(m)
	}
	if c.s.Config.Token && c.chance(0.1) {
		s.Token = []string{"wrong", "none"}[c.r.IntN(2)]
	}
	if c.s.Config.Keys && s.Token == "" && c.chance(0.3) {
		s.Token = c.w.KeyFor(s, c.r.IntN(1<<20))
	}
	c.send(s, method, m)
}

func (c *chaos) method() *step.Method {
	total := 0
	weight := func(m *step.Method) int {
		if strings.Contains(m.Name, "CaptureService") && !c.s.Config.Capture {
			return 0
		}
		if leftToAsks[m.Word] {
			return 0
		}
		return max(weights[m.Word], 1)
	}
	for _, m := range step.Methods() {
		total += weight(m)
	}
	at := c.r.IntN(total)
	for _, m := range step.Methods() {
		if at -= weight(m); at < 0 {
			return m
		}
	}
	panic("fuzz: the contract has no methods")
}

// send makes the call and remembers what it was told.
func (c *chaos) send(s step.Step, method *step.Method, m proto.Message) {
	if method.Kind == history.Watch {
		if c.watches++; c.watches > 4 {
			return
		}
	}
	op := c.p.Send(s, 3*time.Second)
	if op == nil {
		return
	}
	if method.Kind == history.StageWrite || method.Kind == history.StageDelete {
		if op.Outcome == history.Unknown { // what it would commit then is not known, and no client does
			c.began = slices.DeleteFunc(c.began, func(id string) bool { return id == op.In.TxnID })
		}
	}
	if op.Outcome != history.OK {
		return
	}
	if ts := op.NewestCommit(); ts > 0 {
		c.seen = append(c.seen, ts)
	}
	for i := range op.Out.Records {
		c.versions[op.Out.Records[i].Name] = op.Out.Records[i].Version
	}
	for _, v := range op.Out.Versions {
		c.versions[v.Name] = v.Version
	}
	if op.Out.TxnID != "" {
		c.began = append(c.began, op.Out.TxnID) // and no transact's: a daemon that started again does not know it
	}
	if op.Out.More {
		c.pages = append(c.pages, page{op.ID, m, method})
	}
}

// nextPage goes on with a list: from the page after an answer, and now and then with another
// request than the page is of.
func (c *chaos) nextPage() (*step.Method, proto.Message) {
	of := c.pages[c.r.IntN(len(c.pages))]
	m := proto.Clone(of.request)
	if c.chance(0.3) {
		fields := m.ProtoReflect().Descriptor().Fields()
		if f := fields.Get(c.r.IntN(fields.Len())); !leftToAsks[string(f.Name())] {
			c.set(m.ProtoReflect(), f)
		}
	}
	if f := m.ProtoReflect().Descriptor().Fields().ByName("page_token"); f != nil {
		m.ProtoReflect().Set(f, protoreflect.ValueOfString(token(of.of)))
	}
	return of.method, m
}

// transactAgain is one that was sent, under its id, and now and then on other conditions. It never
// writes something else: which of two did what an id stands for would be beyond the judges.
func (c *chaos) transactAgain() proto.Message {
	m := proto.Clone(c.transacts[max(0, len(c.transacts)-1-c.r.IntN(4))]).ProtoReflect()
	fields := m.Descriptor().Fields()
	for _, f := range []protoreflect.FieldDescriptor{fields.ByName("key_preconditions"), fields.ByName("head_preconditions")} {
		if !c.chance(0.3) {
			continue
		}
		if m.Has(f) && c.chance(0.3) {
			m.Clear(f)
		} else if list := m.Mutable(f).List(); list.Len() == 0 {
			c.fill(list.AppendMutable().Message())
		} else {
			c.fill(list.Get(0).Message())
		}
	}
	return m.Interface()
}

// fill sets fields of a request, most of those that name something and some of the others.
func (c *chaos) fill(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !leftToAsks[string(f.Name())] && c.chance(likely(f)) {
			c.set(m, f)
		}
	}
	c.agree(m)
}

// likely is how likely a field is set.
func likely(f protoreflect.FieldDescriptor) float64 {
	switch f.Name() {
	case "agent_id", "key", "operations", "names", "encoding":
		return 1
	case "namespace":
		return 0.8
	case "txn_id":
		switch f.ContainingMessage().Name() {
		case "GetStateRequest", "BatchGetStateRequest", "ListKeysRequest", "ScanPrefixRequest":
			return 0.15
		}
		return 1
	case "value_json":
		return 0.7
	case "page_token":
		return 0.02
	case "key_preconditions", "head_preconditions", "at":
		return 0.2
	}
	return 0.3
}

// agree takes back what no request may have together.
func (c *chaos) agree(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	field := func(name protoreflect.Name) protoreflect.FieldDescriptor { return fields.ByName(name) }
	has := func(name protoreflect.Name) bool { return field(name) != nil && m.Has(field(name)) }
	if m.Descriptor().Name() == "TransactRequest" { // no other encoding of its results has a word in a scenario
		m.Set(field("encoding"), protoreflect.ValueOfEnum(protoreflect.EnumNumber(pb.ValueEncoding_VALUE_ENCODING_JSON)))
	}
	clear := func(names ...protoreflect.Name) {
		for _, n := range names {
			m.Clear(field(n))
		}
	}
	if has("txn_id") && has("at") {
		clear("at")
	}
	if has("all_agents") {
		clear("agent_id")
	}
	if has("delete") {
		clear("value", "value_json")
	} else if text := field("value_json"); text != nil {
		// One form for a request: a history does not say which value had which.
		clear("value", "value_json")
		if c.asStruct {
			text = field("value")
		}
		c.set(m, text)
	}
}

func token(of int) string { return "#" + strconv.Itoa(of) }

// set sets a field to what is right in one of its name.
func (c *chaos) set(m protoreflect.Message, f protoreflect.FieldDescriptor) {
	switch {
	case f.IsMap():
		for range c.r.IntN(3) {
			k := []string{"actor", "actor ", "Actor"}[c.r.IntN(3)]
			m.Mutable(f).Map().Set(protoreflect.ValueOfString(k).MapKey(), protoreflect.ValueOfString(c.one(c.s.names.Agents)))
		}
	case f.IsList():
		for range 1 + c.r.IntN(3) {
			c.fill(m.Mutable(f).List().AppendMutable().Message())
		}
	case f.Message() != nil:
		c.setMessage(m, f)
	case f.Kind() == protoreflect.StringKind:
		m.Set(f, protoreflect.ValueOfString(c.text(m, f)))
	case f.Kind() == protoreflect.BytesKind:
		m.Set(f, protoreflect.ValueOfBytes([]byte(c.value())))
	case f.Kind() == protoreflect.EnumKind:
		m.Set(f, protoreflect.ValueOfEnum(protoreflect.EnumNumber(c.r.IntN(f.Enum().Values().Len()))))
	case f.Kind() == protoreflect.BoolKind:
		m.Set(f, protoreflect.ValueOfBool(true))
	case f.Kind() == protoreflect.Uint32Kind:
		m.Set(f, protoreflect.ValueOfUint32(uint32(c.r.IntN(7))))
	case f.Kind() == protoreflect.Uint64Kind:
		m.Set(f, protoreflect.ValueOfUint64(c.number(m, f)))
	}
}

func (c *chaos) one(list []string) string { return list[c.r.IntN(len(list))] }

// text is what is right in a field of that name.
func (c *chaos) text(m protoreflect.Message, f protoreflect.FieldDescriptor) string {
	switch f.Name() {
	case "namespace":
		return c.one(c.s.names.Spaces)
	case "agent_id":
		return c.one(c.s.names.Agents)
	case "key":
		return c.key()
	case "prefix", "key_prefix":
		if m.Descriptor().Name() == "ListAgentsRequest" {
			return c.front(c.one(c.s.names.Agents))
		}
		return c.front(c.key())
	case "txn_id":
		return c.txn(m)
	case "page_token":
		return []string{"AQAAAAAB", "not-a-token", "AQ"}[c.r.IntN(3)]
	}
	return ""
}

func (c *chaos) key() string {
	return []string{"reg/", "if/", "mix/", ""}[c.r.IntN(4)] + c.one(c.s.names.Tails)
}

// front is the front of a name, cut between characters.
func (c *chaos) front(name string) string {
	runes := []rune(name)
	return string(runes[:c.r.IntN(min(len(runes), 6)+1)])
}

// uses are the requests that may name what a transact has committed: to the judges a commit of it
// would be one of a transaction that was begun.
var uses = map[protoreflect.Name]bool{"GetTransactionRequest": true, "AbortRequest": true}

// txn names a transaction: a new one to commit at once, mostly one that is open else.
func (c *chaos) txn(m protoreflect.Message) string {
	switch {
	case m.Descriptor().Name() == "TransactRequest":
		name := c.w.FreshTxn()
		c.used = append(c.used, name)
		return name
	case len(c.began) > 0 && c.chance(0.8):
		at := max(0, len(c.began)-1-c.r.IntN(3))
		name := c.began[at]
		if m.Descriptor().Name() == "CommitRequest" { // sent again on other conditions it is told of the first
			c.began = slices.Delete(c.began, at, at+1)
		}
		return name
	case len(c.used) > 0 && uses[m.Descriptor().Name()]:
		return c.used[c.r.IntN(len(c.used))]
	}
	return "nobody"
}

// value is a value as JSON text.
func (c *chaos) value() string {
	return `{"chaos":` + strconv.Itoa(c.r.IntN(1000)) + `,"x":` + workload.Corner(c.r) + `}`
}

func (c *chaos) number(m protoreflect.Message, f protoreflect.FieldDescriptor) uint64 {
	switch f.Name() {
	case "expected_version", "version":
		known := c.versions[nameIn(m)]
		if c.chance(0.7) {
			return known
		}
		return uint64(c.r.IntN(int(min(known, 5)) + 2))
	case "limit":
		return uint64(c.r.IntN(6))
	}
	if len(c.seen) == 0 {
		return uint64(c.r.IntN(3))
	}
	return c.seen[c.r.IntN(len(c.seen))]
}

// nameIn is the record that a message names.
func nameIn(m protoreflect.Message) (n history.Name) {
	get := func(name protoreflect.Name) string {
		if f := m.Descriptor().Fields().ByName(name); f != nil {
			return m.Get(f).String()
		}
		return ""
	}
	n = history.Name{Namespace: get("namespace"), Agent: get("agent_id"), Key: get("key")}
	if n.Namespace == "" {
		n.Namespace = "default"
	}
	return n
}

func (c *chaos) setMessage(m protoreflect.Message, f protoreflect.FieldDescriptor) {
	switch m.NewField(f).Message().Interface().(type) {
	case *structpb.Struct:
		s := &structpb.Struct{}
		if s.UnmarshalJSON([]byte(c.value())) == nil {
			m.Set(f, protoreflect.ValueOfMessage(s.ProtoReflect()))
		}
	case *pb.At:
		at := &pb.At{Point: &pb.At_Time{Time: c.time()}}
		if c.chance(0.6) {
			at.Point = &pb.At_CommitTs{CommitTs: c.number(at.ProtoReflect(), at.ProtoReflect().Descriptor().Fields().ByName("commit_ts"))}
		}
		m.Set(f, protoreflect.ValueOfMessage(at.ProtoReflect()))
	case *timestamppb.Timestamp:
		m.Set(f, protoreflect.ValueOfMessage(c.time().ProtoReflect()))
	}
}

// Times at the edges of what a Timestamp and an int64 of nanoseconds hold.
var farTimes = []int64{-62135596800, -9223372037, -1, 1, 4294967296, 9223372036, 9223372037, 27643198809, 253402300799}

func (c *chaos) time() *timestamppb.Timestamp {
	if c.chance(0.3) {
		return &timestamppb.Timestamp{Seconds: farTimes[c.r.IntN(len(farTimes))], Nanos: int32(c.r.IntN(2) * 999999999)}
	}
	return timestamppb.New(step.Epoch.Add(time.Duration(c.r.IntN(3000)) * time.Millisecond))
}

// mutate makes one thing in a request wrong, or extreme.
func (c *chaos) mutate(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	if fields.Len() == 0 {
		return
	}
	f := fields.Get(c.r.IntN(fields.Len()))
	switch {
	case leftToAsks[string(f.Name())], f.Name() == "timeout_ms":
	case c.chance(0.2):
		m.Clear(f)
	case f.IsMap():
		m.Mutable(f).Map().Set(protoreflect.ValueOfString(c.badText()).MapKey(), protoreflect.ValueOfString(c.badText()))
	case f.IsList():
		list := m.Mutable(f).List()
		if n := list.Len(); n > 0 && c.chance(0.6) {
			c.mutate(list.Get(c.r.IntN(n)).Message())
		} else if n > 0 {
			list.Append(list.Get(c.r.IntN(n))) // the same once more
		} else {
			list.AppendMutable()
		}
	case f.Message() != nil:
		at, isTime := m.Mutable(f).Message().Interface().(*timestamppb.Timestamp)
		if isTime {
			at.Seconds, at.Nanos = []int64{math.MinInt64, math.MaxInt64, 253402300800, 0}[c.r.IntN(4)], int32(c.r.IntN(3)-1)
		}
	case f.Kind() == protoreflect.StringKind:
		m.Set(f, protoreflect.ValueOfString(c.badText()))
	case f.Kind() == protoreflect.BytesKind:
		m.Set(f, protoreflect.ValueOfBytes([]byte(badValues[c.r.IntN(len(badValues))])))
	case f.Kind() == protoreflect.EnumKind:
		m.Set(f, protoreflect.ValueOfEnum([]protoreflect.EnumNumber{-1, 7, 99}[c.r.IntN(3)]))
	case f.Kind() == protoreflect.BoolKind:
		m.Set(f, protoreflect.ValueOfBool(!m.Get(f).Bool()))
	case f.Kind() == protoreflect.Uint32Kind:
		m.Set(f, protoreflect.ValueOfUint32([]uint32{1000, 1001, math.MaxInt32, math.MaxUint32}[c.r.IntN(4)]))
	case f.Kind() == protoreflect.Uint64Kind:
		m.Set(f, protoreflect.ValueOfUint64([]uint64{0, 1 << 20, math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64}[c.r.IntN(5)]))
	}
}

// badText is what most fields must not have.
func (c *chaos) badText() string {
	return []string{"", "a\x00b", "\x1f", "a\nb", "\U000e0001", strings.Repeat("n", 129), strings.Repeat("n", 257), strings.Repeat("n", 1025), "\u00a0", "nobody"}[c.r.IntN(10)]
}

// badValues are no values, most of them.
var badValues = []string{
	"", "null", "[]", "1", `""`, "{", `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":1e309}`, `{"a":01}`, `{"a":+1}`, `{"a":NaN}`, `{"a":"\ud800"}`, "{\"a\":\"\x01\"}",
	"{\"a\":\"\xff\"}", `{"a":1}x`, `{"a":1,}`, ` {"a" : 1 } `, `{"a":` + strings.Repeat("[", 28) + strings.Repeat("]", 28) + `}`, "\ufeff{}",
}

// garble is a request as bytes, cut short or with one of them changed.
func (c *chaos) garble(m proto.Message) string {
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil || len(wire) == 0 {
		return "ff"
	}
	at := c.r.IntN(len(wire))
	if c.chance(0.5) {
		return step.RawBytes(wire[:at])
	}
	wire[at] ^= 1 << c.r.IntN(8)
	if other := m.ProtoReflect().New(); proto.Unmarshal(wire, other.Interface()) == nil && asksMore(other) {
		return "ff"
	}
	return step.RawBytes(wire)
}
