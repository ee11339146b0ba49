package planted

func threads() []Bug { return append(wakeUps(), locks()...) }

// wakeUps are of those who wait, and of what they are told.
func wakeUps() []Bug {
	return []Bug{
		{
			Name: "watch-looks-before-it-arms", Guarantee: "G9", About: "a watch looks at what is published before it registers for what comes: a commit in between does not wake it",
			Edits: []Edit{{"engine/watch.go", "	w.armed = w.e.watches.wait(w.about)\n	return w.e.Published()", "	published := w.e.Published()\n	w.armed = w.e.watches.wait(w.about)\n	return published"}},
		},
		{
			Name: "wake-before-publish", Guarantee: "G9", About: "watches are woken before the commits that they are woken for are published",
			Edits: []Edit{{"engine/step.go", "	e.published.Store(uint64(c.ts))\n	e.publishedTime.Store(c.time.UnixNano())\n	e.watches.wake(commits)", "	e.watches.wake(commits)\n	e.published.Store(uint64(c.ts))\n	e.publishedTime.Store(c.time.UnixNano())"}},
		},
		{
			Name: "answer-before-publish", Guarantee: "G4", About: "a step answers before it publishes: a read after the answer may miss the commit",
			Edits: []Edit{
				{"engine/step.go", "	e.system.publish(func() { e.publish(fl.commits, fl.chores != nil && fl.chores.held) })\n", ""},
				{"engine/step.go", "	e.answerAll(fl.answers)\n", "	e.answerAll(fl.answers)\n	if len(fl.commits) > 0 {\n		e.publish(fl.commits, false)\n	}\n"},
			},
		},
		{
			Name: "done-before-result", Guarantee: "G9", About: "a ticket is closed before the answer is in it",
			Edits: []Edit{{"engine/proposal.go", "	t.result, t.err = r, err\n	close(t.done)", "	close(t.done)\n	t.result, t.err = r, err"}},
		},
		{
			Name: "halt-forgets-a-waiter", Guarantee: "G9", About: "when the engine halts, of those who wait for the step only the first is answered",
			Edits: []Edit{{"engine/step.go", "func (e *Engine) answerUnknown(fl *inflight) {\n	for i := range fl.answers {", "func (e *Engine) answerUnknown(fl *inflight) {\n	for i := range fl.answers[:1] {"}},
		},
		{
			Name: "halt-leaves-the-queue", Guarantee: "G9", About: "after a halt the loop no longer answers what is queued",
			Edits: []Edit{{"engine/loop.go", "		if e.failed.Load() != nil {\n			e.refuseQueued()\n		} else if", "		if e.failed.Load() != nil {\n			_ = e.failed\n		} else if"}},
		},
		{
			Name: "queue-looked-at-too-early", Guarantee: "G9", About: "a request that steps looks at the queue before it lets go of the lock, and those who find it locked rely on that",
			Edits: []Edit{{"engine/loop.go", "	if e.running.Load() && e.stepMu.TryLock() {\n		func() {\n			defer e.stepMu.Unlock()\n			e.guardedStep()\n		}()\n		if !e.hasQueued() {\n			return\n		}\n	}", "	if e.running.Load() {\n		if !e.stepMu.TryLock() {\n			return\n		}\n		more := false\n		func() {\n			defer e.stepMu.Unlock()\n			e.guardedStep()\n			more = e.hasQueued()\n		}()\n		if !more {\n			return\n		}\n	}"}},
		},
		{
			Name: "topic-removed-for-all", Guarantee: "G9", About: "a watch that ends removes its topic while another watch is on it",
			Edits: []Edit{{"engine/watch.go", "	if t.watches--; t.watches == 0 {", "	if t.watches--; t.watches <= 1 {"}},
		},
		{
			Name: "room-armed-too-late", Guarantee: "G9", About: "a stream finds no room, lets go of the lock, and registers for room after that",
			Edits: []Edit{{"server/unsent/stream.go", "		if s.room == nil {\n			s.room = make(chan struct{})", "		s.conn.mu.Unlock()\n		s.conn.mu.Lock()\n		if s.room == nil {\n			s.room = make(chan struct{})"}},
		},
	}
}

// locks are of what is decided in one critical section and done in another.
func locks() []Bug {
	return []Bug{
		{
			Name: "queue-cut-after-unlock", Guarantee: "G9", About: "the writer takes the queue and empties it under another lock: what was queued in between is never answered",
			Edits: []Edit{{"engine/queue.go", "	switch {\n	case e.queue.len() == 0:\n		return taken\n", "	switch {\n	case e.queue.len() == 0:\n		e.mu.Unlock()\n		e.mu.Lock()\n		e.queue = line{}\n		return taken\n"}},
		},
		{
			Name: "commit-begun-twice", Guarantee: "G6", About: "whether a transaction is being committed is looked at under one lock, and said under the next",
			Edits: []Edit{{"engine/txn.go", "	x.commit = tk\n	heap.Remove(&t.byExpiry, x.heapAt) // from", "	t.mu.Unlock()\n	t.mu.Lock()\n	x.commit = tk\n	heap.Remove(&t.byExpiry, x.heapAt) // from"}},
		},
		{
			Name: "committing-expires", Guarantee: "G6", About: "a transaction that is being committed can time out",
			Edits: []Edit{
				{"engine/txn.go", "	heap.Remove(&t.byExpiry, x.heapAt) // from here on only the writer ends it\n", ""},
				{"engine/txn.go", "		x.commit = nil\n		heap.Push(&t.byExpiry, x)", "		x.commit = nil"},
			},
		},
		{
			Name: "outcome-asked-too-late", Guarantee: "G6", About: "an outcome is looked up in the log before it is asked whether the commit is still undecided",
			Edits: []Edit{
				{"engine/outcome.go", "	undecided := e.waiting(id) != nil // asked first: if it is decided meanwhile, the lookups below find it\n", ""},
				{"engine/outcome.go", "	if undecided {\n", "	if e.waiting(id) != nil {\n"},
			},
		},
		{
			Name: "limiter-looks-then-enters", Guarantee: "G9", About: "a limiter looks whether there is room and takes it in two moves",
			Edits: []Edit{{"server/limiter/limiter.go", "	if l.free.Add(-1) < 0 {\n		l.free.Add(1)\n		return l.refusal()\n	}\n	return nil", "	if l.free.Load() <= 0 {\n		return l.refusal()\n	}\n	l.free.Add(-1)\n	return nil"}},
		},
		{
			Name: "room-given-back-twice", Guarantee: "G9", About: "who gives up waiting for room gives back what it never got",
			Edits: []Edit{{"server/limiter/semaphore.go", "		s.waiting.Leave(w)\n", "		s.waiting.Leave(w)\n		s.free += int64(w.place.Size())\n"}},
		},
		{
			Name: "late-room-is-lost", Guarantee: "G9", About: "who gives up at the moment it gets its room keeps it",
			Edits: []Edit{{"server/limiter/semaphore.go", "		s.free += int64(w.place.Size())\n	default:", "	default:"}},
		},
		{
			Name: "counted-on-a-gone-connection", Guarantee: "G9", About: "whether a connection has ended is looked at before the lock under which bytes are counted for it",
			Edits: []Edit{
				{"server/unsent/reservation.go", "	c.mu.Lock()\n	defer c.mu.Unlock()\n	if stream != nil {\n		stream.unsent += n", "	c.mu.Lock()\n	gone := c.gone\n	c.mu.Unlock()\n	c.mu.Lock()\n	defer c.mu.Unlock()\n	if stream != nil {\n		stream.unsent += n"},
				{"server/unsent/reservation.go", "	if c.gone { // nothing", "	if gone { // nothing"},
			},
		},
		{
			Name: "unsent-counts-overwritten", Guarantee: "G9", About: "the count of unsent bytes is read and written in two moves",
			Edits: []Edit{{"server/unsent/reservation.go", "		if b.common.CompareAndSwap(held, held+n) {\n			return held, true\n		}", "		b.common.Store(held + n)\n		return held, true"}},
		},
		{
			Name: "recorded-after-it-was-counted", Guarantee: "capture", About: "what waits to be recorded is taken, and the buffer changed under another lock",
			Edits: []Edit{{"history/capture/pending.go", "	p.frames, p.spare = p.spare[:chunkHeader], nil\n", "	p.mu.Unlock()\n	p.mu.Lock()\n	p.frames, p.spare = p.spare[:chunkHeader], nil\n"}},
		},
	}
}
