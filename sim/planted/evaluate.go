package planted

// evaluations are mistakes in operations that the writer evaluates.
func evaluations() []Bug {
	return []Bug{
		{
			Name: "append-number-given-twice", Guarantee: "G6", About: "the last number of a sequence is not kept current when a key of it is planned", Tests: "./engine ^TestEvaluated$",
			Edits: []Edit{{"engine/sequence.go", "	if last, found := known.get(key); found && n > last {", "	if last, found := known.get(key); found && n > last+1 {"}},
		},
		{
			Name: "append-blind-to-its-step", Guarantee: "G6", About: "a sequence is looked up without the commits that the step has planned", Tests: "./engine ^TestEvaluatedInOneStep$",
			Edits: []Edit{{"engine/sequence.go", "	for _, c := range pl.step { // which the store does not have", "	for _, c := range pl.step[:0] {"}},
		},
		{
			Name: "evaluated-again", Guarantee: "G6", About: "what could not be evaluated is tried again under the same id", Tests: "./engine ^TestEvaluationFails$",
			Edits: []Edit{{"engine/outcome.go", " || errors.Is(err, ErrEvaluation)", ""}},
		},
		{
			Name: "asked-not-fingerprinted", Guarantee: "G6", About: "requests that ask for other evaluations are taken for the same", Tests: "./engine ^TestSameEvaluatedRequest$",
			Edits: []Edit{{"engine/evaluate.go", "		b = op.eval.fingerprint(b)\n", ""}},
		},
		{
			Name: "result-of-now", Guarantee: "G6", About: "a retry is told what the record is now, not what the commit made of it", Tests: "./engine ^TestEvaluated$",
			Edits: []Edit{{"engine/evaluated.go", "	rec, err := x.e.GetVersion(name, v)", "	rec, err := Snapshot{e: x.e, ts: x.e.Published()}.Get(name)"}},
		},
		{
			Name: "increments-in-parallel", Guarantee: "G3", About: "operations of one request do not see what those before them made of a key", Tests: "./engine ^TestEvaluated$",
			Edits: []Edit{{"engine/evaluate.go", "	own := v.find(name.AgentName(), prefix)\n	if own == nil {", "	own := v.find(name.AgentName(), prefix)\n	if own == nil || own.sum == (layout.ValueSum{}) {"}},
		},
		{
			Name: "sums-wrap", Guarantee: "G2", About: "an increment past what 64 bits hold is not exact", Tests: "./engine/jsonedit ^TestAdd$",
			Edits: []Edit{{"engine/jsonedit/number.go", "	if len(digits) <= smallDigits {", "	if len(digits) <= smallDigits+2 {"}},
		},
		{
			Name: "merge-keeps-null", Guarantee: "G2", About: "a patch that takes a member out of a new object leaves it there", Tests: "./engine/jsonedit ^TestMergeExamples$",
			Edits: []Edit{{"engine/jsonedit/merge.go", "		if !c.done && patch[c.value] != 'n' {", "		if !c.done {"}},
		},
		{
			Name: "bytes-of-any-type", Guarantee: "G6", About: "bytes of another content type are taken for the same value", Tests: "./engine ^TestBytesInTheEngine$",
			Edits: []Edit{{"engine/bytes.go", "	w.Bytes, w.normal = false, true", "	w.Bytes, w.normal, w.Value = false, true, append(layout.AppendString(stored[:1], DefaultContentType), w.Value[len(w.ContentType)+2:]...)"}},
		},
	}
}
