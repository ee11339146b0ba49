package engine

// Where there is no short way a diff goes through the keys of both states together.

// A listing is one of the two lists that are merged.
type listing struct {
	*scanCursor
	done bool
	live bool   // its record exists and was not compared yet
	at   string // the key that it is at; "" before the first
}

// take returns the record of a key, which does not exist if the listing is not at it.
func (l *listing) take(key string) (rec Record) {
	if !l.live || l.at != key {
		return Record{}
	}
	l.live = false
	return l.rec
}

// merge compares the two lists.
func (d *differ) merge() error {
	lists := [2]*listing{}
	var err error
	for i, side := range []*DiffSide{&d.o.From, &d.o.To} {
		lists[i] = &listing{done: side.Empty}
		if side.Empty {
			continue
		}
		// Where there is a common past most versions are the same: values are read where they are not.
		o := &ScanOptions{Agent: side.Agent, Prefix: d.o.Prefix, After: d.o.After, KeysOnly: d.related}
		if lists[i].scanCursor, err = side.At.cursor(o); err != nil {
			break
		}
	}
	if err == nil {
		err = d.mergeLists(lists)
	}
	for _, l := range lists {
		if l != nil && l.scanCursor != nil {
			err = firstError(err, l.rows.close())
		}
	}
	return err
}

func (d *differ) mergeLists(lists [2]*listing) error {
	last := d.o.After
	for {
		key, behind := next(lists)
		if behind != nil {
			d.step(behind)
			if shown, some := shownUpTo(lists); some && shown > last {
				last = shown
			}
			if last > d.o.After && d.looked.enough(d.e) {
				d.found.Next = last
				return nil
			}
			continue
		}
		if key == "" {
			return nil
		}
		from, to, err := d.take(lists, key)
		if err != nil {
			return err
		}
		if d.compare(last, from, to) {
			return nil
		}
		if last = key; d.o.Page.Items > 0 && len(d.found.Keys) >= d.o.Page.Items {
			d.found.Next = last
			return nil
		}
	}
}

// next is the least key that is to be compared, or the listing that must move on before it is known;
// neither at the end.
func next(lists [2]*listing) (key string, behind *listing) {
	for _, l := range lists {
		if l.live && (key == "" || l.at < key) {
			key = l.at
		}
	}
	for _, l := range lists {
		if !l.live && !l.done && (key == "" || l.at < key) {
			return "", l
		}
	}
	return key, nil
}

// shownUpTo is a key up to which both listings have been compared, if one is known.
func shownUpTo(lists [2]*listing) (key string, some bool) {
	a, b := lists[0], lists[1]
	if a.live || a.done || !b.live && !b.done && b.at < a.at {
		a, b = b, a
	}
	// If a key can be told it is a's.
	if a.live || a.done || b.live && b.at <= a.at {
		return "", false
	}
	return a.at, true
}

func (d *differ) step(l *listing) {
	rows, read := l.rows.moves, l.rows.bytes
	exists, ok := l.scanCursor.step()
	d.looked.rows, d.looked.bytes = d.looked.rows+l.rows.moves-rows, d.looked.bytes+l.rows.bytes-read
	l.done, l.live = !ok, ok && exists
	if ok {
		l.at = l.rec.Name.Key
	}
}

// take returns the two states of a key.
func (d *differ) take(lists [2]*listing, key string) (from, to Record, err error) {
	from, to = lists[0].take(key), lists[1].take(key)
	if !d.related || from.Exists && to.Exists && d.sameVersion(&from, &to) {
		return from, to, nil
	}
	if from.Exists {
		if from, err = d.read(&d.o.From, key); err != nil {
			return from, to, err
		}
	}
	if to.Exists {
		to, err = d.read(&d.o.To, key)
	}
	return from, to, err
}
