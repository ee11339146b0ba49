package show

// Failure is an error under --json, one line on standard error. Its fields are only ever
// added to.
type Failure struct {
	Error    string            `json:"error"` // a code of the contract, or one of those below
	Message  string            `json:"message"`
	Details  map[string]string `json:"details,omitempty"`
	Applied  string            `json:"applied"`          // no, or unknown
	TxnID    string            `json:"txn_id,omitempty"` // to ask about when it is unknown
	ExitCode int               `json:"exit_code"`
}

// Codes of errors that no daemon sent.
const (
	CodeUsage       = "USAGE"
	CodeNotFound    = "NOT_FOUND"
	CodeFailed      = "FAILED"
	CodeInterrupted = "INTERRUPTED"
	CodeDataLoss    = "DATA_LOSS"
	CodeUnknown     = "OUTCOME_UNKNOWN"
)

// Line is the failure as JSON, with the end of the line.
func (f Failure) Line() []byte {
	var encoder Encoder
	text, err := encoder.Encode(f)
	if err != nil {
		panic(err) // strings and a number
	}
	return append(text, '\n')
}
