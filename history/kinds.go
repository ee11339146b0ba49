package history

// Kind says what was asked for.
type Kind string

// The kinds of operations.
const (
	Begin       Kind = "begin"
	StageWrite  Kind = "write"  // into an open transaction
	StageDelete Kind = "delete" // into an open transaction
	Commit      Kind = "commit"
	Abort       Kind = "abort"
	Transact    Kind = "transact" // writes and conditions in one
	Get         Kind = "get"
	GetVersion  Kind = "get_version"
	BatchGet    Kind = "batch_get"
	ListKeys    Kind = "list_keys"
	Scan        Kind = "scan"
	KeyHistory  Kind = "history"
	ListAgents  Kind = "agents"
	ListSpaces  Kind = "namespaces"
	GetTxn      Kind = "get_transaction"
	Replay      Kind = "replay"
	Watch       Kind = "watch"

	RenewLeases   Kind = "renew_leases"
	ListLeases    Kind = "list_leases"
	RefreshExpiry Kind = "refresh_expiry"
	Find          Kind = "find"
	Diff          Kind = "diff"
	GetAgent      Kind = "get_agent"
)

// Info is what is known of a kind of operation whatever it is spoken over. It is the half
// of the table of operations that names no message; history/record has the other half.
type Info struct {
	Kind Kind
	// Word stands for the operation in a scenario, before Args.
	Word string
	Args []Arg
	// Parts of the answer that a scenario can expect.
	Parts []Part
	// Stream: it is answered in batches, not with an Output.
	Stream bool
	// Commits: its answer speaks of the commit that it made.
	Commits bool
	// ReadTS: its answer says which commit was read at.
	ReadTS bool
}

// Arg is what an operation is asked to do, as scenarios write it.
type Arg int

// The arguments.
const (
	TxnArg       Arg = iota
	TimeoutArg       // of a transaction
	RecordArg        // namespace, agent and key
	ValueArg         // JSON
	ExpectedArg      // the version that the key must be at
	ChangesArg       // writes, conditions and metadata
	ReadsArg         // what a transaction read that its client holds, and its timeout
	RecordsArg       // any number of them
	AgentArg         // with its namespace
	ScopeArg         // an agent, or all of a namespace
	NamespaceArg     // its name
	RenewalsArg      // any number of leases with their tokens
	OptionsArg       // which part of what there is: as=of
)

// Part is what a scenario calls a part of an answer.
type Part string

// The parts of answers.
const (
	TSPart       Part = "ts"       // the commit_ts
	VersionPart  Part = "v"        // the first version
	VersionsPart Part = "versions" // of all records
	KeysPart     Part = "keys"     // or names, of all that is listed
	AgentsPart   Part = "agents"   // their names
	StatePart    Part = "state"    // of a transaction
	EventsPart   Part = "events"   // their commit_ts
	LeasesPart   Part = "leases"   // their names and tokens
	TokenPart    Part = "token"    // of the first lease
	LostPart     Part = "lost"     // of each renewal, whether its lease was
	FoldersPart  Part = "folders"  // beside keys
	ResultPart   Part = "result"   // the keys that operations got
	OriginPart   Part = "origin"   // of an agent: its parent and the commit_ts
	ValuePart    Part = "a value, or absent"
)

// infos has every kind once, in the order of the contract.
var infos = []Info{
	{Kind: Begin, Word: "begin", Args: []Arg{TxnArg, TimeoutArg}},
	{Kind: StageWrite, Word: "write", Args: []Arg{TxnArg, RecordArg, ValueArg, ExpectedArg}},
	{Kind: StageDelete, Word: "delete", Args: []Arg{TxnArg, RecordArg, ExpectedArg}},
	{Kind: Commit, Word: "commit", Args: []Arg{TxnArg, ChangesArg}, Parts: []Part{TSPart, VersionPart}, Commits: true},
	{Kind: Abort, Word: "abort", Args: []Arg{TxnArg}},
	{Kind: Transact, Word: "transact", Args: []Arg{TxnArg, ChangesArg, ReadsArg}, Parts: []Part{TSPart, VersionPart, TokenPart, ResultPart, ValuePart}, Commits: true},
	{Kind: Get, Word: "get", Args: []Arg{RecordArg, OptionsArg}, Parts: []Part{VersionPart, ValuePart}, ReadTS: true},
	{Kind: GetVersion, Word: "version", Args: []Arg{RecordArg, OptionsArg}, Parts: []Part{VersionPart, ValuePart}},
	{Kind: BatchGet, Word: "batch", Args: []Arg{RecordsArg, OptionsArg}, Parts: []Part{VersionsPart, KeysPart, ValuePart}, ReadTS: true},
	{Kind: ListKeys, Word: "keys", Args: []Arg{AgentArg, OptionsArg}, Parts: []Part{KeysPart, FoldersPart}, ReadTS: true},
	{Kind: Scan, Word: "scan", Args: []Arg{AgentArg, OptionsArg}, Parts: []Part{VersionsPart, KeysPart, ValuePart}, ReadTS: true},
	{Kind: KeyHistory, Word: "history", Args: []Arg{RecordArg, OptionsArg}, Parts: []Part{VersionsPart, ValuePart}},
	{Kind: ListAgents, Word: "agents", Args: []Arg{NamespaceArg, OptionsArg}, Parts: []Part{AgentsPart}},
	{Kind: ListSpaces, Word: "namespaces", Args: []Arg{OptionsArg}, Parts: []Part{KeysPart}},
	{Kind: GetTxn, Word: "outcome", Args: []Arg{TxnArg}, Parts: []Part{TSPart, VersionPart, StatePart}},
	{Kind: Replay, Word: "replay", Args: []Arg{ScopeArg, OptionsArg}, Parts: []Part{EventsPart}, Stream: true},
	{Kind: Watch, Word: "watch", Args: []Arg{ScopeArg, OptionsArg}, Parts: []Part{EventsPart}, Stream: true},
	{Kind: RenewLeases, Word: "renew", Args: []Arg{RenewalsArg}, Parts: []Part{LostPart}},
	{Kind: ListLeases, Word: "leases", Args: []Arg{ScopeArg, OptionsArg}, Parts: []Part{LeasesPart}},
	{Kind: RefreshExpiry, Word: "refresh", Args: []Arg{RecordsArg, OptionsArg}, Parts: []Part{VersionsPart}},
	{Kind: Find, Word: "find", Args: []Arg{ScopeArg, OptionsArg}, Parts: []Part{VersionsPart, KeysPart, ValuePart}, ReadTS: true},
	{Kind: Diff, Word: "diff", Args: []Arg{AgentArg, OptionsArg}, Parts: []Part{KeysPart}},
	{Kind: GetAgent, Word: "agent", Args: []Arg{AgentArg}, Parts: []Part{AgentsPart, OriginPart}},
}

var infoOf, kindOfWord = func() (map[Kind]*Info, map[string]Kind) {
	byKind, byWord := make(map[Kind]*Info), make(map[string]Kind)
	for i := range infos {
		byKind[infos[i].Kind], byWord[infos[i].Word] = &infos[i], infos[i].Kind
	}
	return byKind, byWord
}()

// Kinds are all of them.
func Kinds() []Kind {
	list := make([]Kind, len(infos))
	for i := range infos {
		list[i] = infos[i].Kind
	}
	return list
}

// Info is the kind's line of the table; of a kind that is not there, an empty one.
func (k Kind) Info() *Info {
	if info := infoOf[k]; info != nil {
		return info
	}
	return &Info{}
}

// KindOfWord is the kind that a word of a scenario stands for.
func KindOfWord(word string) (k Kind, known bool) {
	k, known = kindOfWord[word]
	return k, known
}
