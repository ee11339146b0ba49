package planted

// sessions are mistakes of what carries many requests over one stream, at both ends.
func sessions() []Bug {
	const link, served = "client/session/link.go", "server/session/session.go"
	return []Bug{
		{
			Name: "session-client-answers-swapped", Guarantee: "G3", About: "of several answers in one message the client gives the last one's to all who wait", Unseen: noHistory,
			Edits: []Edit{{link, "		r.answer, r.state = a, over\n", "		r.answer, r.state = l.answers[len(l.answers)-1], over\n"}},
		},
		{
			Name: "session-client-break-told-definite", Guarantee: "G6", About: "requests that a broken session has sent are told to be certainly not sent", Unseen: noHistory,
			Edits: []Edit{{link, "		r.sent = r.sent && !alone\n", "		r.sent = false\n"}},
		},
		{
			Name: "session-client-break-told-refused", Guarantee: "G6", About: "a commit in a session that broke is told to be refused, and not applied", Unseen: noHistory,
			Edits: []Edit{{link, "	s, code := status.Convert(err), codes.Unavailable\n", "	s, code := status.Convert(err), codes.ResourceExhausted\n"}},
		},
		{
			Name: "session-client-cancels-another", Guarantee: "G9", About: "a caller that gives up has the request after its own cancelled", Unseen: noHistory,
			Edits: []Edit{{link, "		l.cancels = append(l.cancels, r.id)\n", "		l.cancels = append(l.cancels, r.id+1)\n"}},
		},
		{
			Name: "session-client-queue-lost", Guarantee: "G9", About: "what waits for room in a session that breaks is forgotten", Unseen: noHistory,
			Edits: []Edit{{link, "		list = append(list, l.queue.oldest)\n", ""}},
		},
		{
			Name: "session-client-answer-twice", Guarantee: "G3", About: "an answer that comes when its caller has gone is the next one's who waits", Unseen: noHistory,
			Edits: []Edit{{link, "		r := l.underWay[a.id]\n", "		r := l.underWay[a.id]\n		if r == nil && len(l.underWay) == 1 {\n			for _, r = range l.underWay { // the only one\n			}\n		}\n"}},
		},
		{
			Name: "session-client-waits-for-next", Guarantee: "G9", About: "what waits for room is sent when somebody asks next, not when there is room", Unseen: noHistory,
			Edits: []Edit{{link, "	more := l.ready()\n", "	more := l.ready() && len(l.ended) == 0\n"}},
		},
		{
			Name: "session-client-fresh-id", Guarantee: "G6", About: "a commit whose session broke is sent again under another id", Unseen: noHistory,
			Edits: []Edit{{"client/transact.go", "		resp, err = c.stub.Transact(ctx, req, opts...)\n", "		resp, err = c.stub.Transact(ctx, req, opts...)\n		if err != nil && strings.Contains(err.Error(), \"the session broke\") {\n			req.TxnId = c.newTxnID()\n		}\n"}, {"client/transact.go", "import (\n	\"context\"\n", "import (\n	\"context\"\n	\"strings\"\n"}},
		},
		{
			Name: "session-wrong-id", Guarantee: "G3", About: "of two answers in one message each has the other's id", Unseen: noHistory,
			Edits: []Edit{{"server/session/answers.go", "	for i := range batch {\n		a := &batch[i]\n		field", "	if len(batch) == 2 {\n		batch[0].request.id, batch[1].request.id = batch[1].request.id, batch[0].request.id\n	}\n	for i := range batch {\n		a := &batch[i]\n		field"}},
		},
		{
			Name: "session-deadline-ends-all", Guarantee: "G9", About: "the deadline of one request ends those of the whole session", Unseen: noHistory,
			Edits: []Edit{{"server/session/request.go", "func() { r.cancel(context.DeadlineExceeded) })", "func() {\n			for _, other := range s.under { // all of them\n				other.cancel(context.DeadlineExceeded)\n			}\n		})"}},
		},
		{
			Name: "session-drain-loses-answers", Guarantee: "G9", About: "a drain ends a session before what is under way in it is answered", Unseen: noHistory,
			Edits: []Edit{{served, "s.draining && s.early == 0\n", "s.draining\n"}},
		},
		{
			Name: "session-cancels-all", Guarantee: "G9", About: "a client that cancels one request of a session cancels all", Unseen: noHistory,
			Edits: []Edit{{served, "	if r := s.under[id]; r != nil {\n		r.cancelLocked(context.Canceled)\n	}\n", "	for _, r := range s.under { // all of them\n		r.cancelLocked(context.Canceled)\n	}\n"}},
		},
		{
			Name: "session-answers-twice", Guarantee: "G9", About: "an answer that shares its message with others is sent in the next one, too", Unseen: noHistory,
			Edits: []Edit{{"server/session/answers.go", "			rest = rest[n:]\n", "			if rest = rest[n:]; n > 1 {\n				rest = batch[n-1:]\n			}\n"}},
		},
	}
}
