package tamper

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// rewrite gives a record that an event tells of another value, the event its digest, and the log
// row that of the event. chain makes of that, and of the row as it was, the row that is stored.
func (t *tampering) rewrite(i int, chain func(told, log row) row) (string, error) {
	if i < 0 {
		return "", ErrNothing
	}
	event := t.rows['e'][i].clone()
	agent, _, _ := names(event.key, 'e', 2)
	ops, _ := writes(event.body)
	for _, o := range ops {
		found := t.find(keyOf('r', ^o.version, agent[0], agent[1], o.key))
		if found == nil {
			continue
		}
		value := []byte(`"tampered"`)
		record := found.clone()
		_, n := binary.Uvarint(record.body[1:])
		salt := record.body[1+n+8:][:saltSize]
		record.body = append(record.body[:1+n+8+saltSize], byte(len(value)))
		record.body = append(record.body, value...)
		if bytes.Equal(record.body, found.body) {
			continue
		}
		says := append([]byte{byte(len(value))}, valueDigest(salt, value)...)
		event.body = bytes.Join([][]byte{event.body[:o.from], says, event.body[o.to:]}, nil)
		was, at := t.logOf(&event)
		told := was.clone()
		copy(told.body[at:], partDigest(event.body))
		log := chain(told, was)
		record.seal()
		event.seal()
		log.seal()
		what := fmt.Sprintf("event %d of %d, its record and its commit", i+1, len(t.rows['e']))
		return what, errors.Join(t.put(record), t.put(event), t.put(log))
	}
	return "", ErrNothing
}

// logOf is a copy of the log row of an event's commit, and where the digest of the event stands.
func (t *tampering) logOf(event *row) (log row, at int) {
	log = t.find(keyOf('l', tsOf(event))).clone()
	l := takeApart(&log)
	i := slices.IndexFunc(l.events, func(key []byte) bool { return bytes.Equal(key, event.key) })
	return log, l.parts + i*digestSize
}

// rank orders the events by their place in their commits, the last first.
func (t *tampering) rank() {
	place := make(map[string]int)
	for i := range t.rows['l'] {
		for at, event := range takeApart(&t.rows['l'][i]).events {
			place[string(event)] = at
		}
	}
	slices.SortStableFunc(t.rows['e'], func(a, b row) int { return place[string(b.key)] - place[string(a.key)] })
}

// changeTail changes the end of the log.
func (t *tampering) changeTail() (string, error) {
	known := min(t.Known, t.head())
	if known == 0 {
		return "", ErrNothing
	}
	end := known - min(uint64(t.Nth), known)
	switch t.How {
	case "drop":
		return fmt.Sprintf("the log ends at %d, not %d", end, known), t.cut(end, "relatn")
	case "rewind":
		return fmt.Sprintf("the log ends at %d, not %d, and the witness agrees", end, known), errors.Join(t.cut(end, "l"), t.rewind(end))
	case "spoil":
		if t.Before == 0 {
			return "", ErrNothing
		}
		end = t.Before - min(uint64(t.Nth), t.Before)
		return fmt.Sprintf("the log ends at %d, not %d, and the witness's last word is spoilt", end, known), errors.Join(t.cut(end, "relatn"), t.spoil())
	}
	if err := t.cut(known, "relatn"); err != nil {
		return "", err
	}
	return t.rewriteCommit(known)
}

// cut removes the rows of some kinds that later commits made.
func (t *tampering) cut(end uint64, kinds string) (err error) {
	for _, tag := range []byte(kinds) {
		for i := range t.rows[tag] {
			if r := &t.rows[tag][i]; tsOf(r) > end {
				err = errors.Join(err, t.delete(*r))
			}
		}
	}
	return err
}

// rewriteCommit changes a value of the last commit, and all hashes with it.
func (t *tampering) rewriteCommit(ts uint64) (string, error) {
	found := t.find(keyOf('l', ts))
	if found == nil {
		return "", ErrNothing
	}
	previous := make([]byte, hashSize)
	if before := t.find(keyOf('l', ts-1)); before != nil {
		previous = before.body[:hashSize]
	}
	for _, key := range takeApart(found).events {
		i := slices.IndexFunc(t.rows['e'], func(r row) bool { return bytes.Equal(r.key, key) })
		what, err := t.rewrite(i, func(log, _ row) row {
			copy(log.body, chained(previous, &log))
			return log
		})
		if !errors.Is(err, ErrNothing) {
			return what + ", chain and all", err
		}
	}
	return "", ErrNothing
}

// The witness: four slots in two pairs.
const (
	stride   = 4096
	slotSize = 8 + 8 + 8 + hashSize + 4
	turnAt   = 8
	tsAt     = 16
	hashAt   = 24
)

func (t *tampering) readWitness() (data []byte, good []int, err error) {
	f, err := t.fs.Open(t.witness)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if data, err = io.ReadAll(f); err != nil {
		return nil, nil, err
	}
	for i := range 4 {
		if at := i * stride; len(data) >= at+slotSize && slotSum(data[at:]) == binary.LittleEndian.Uint32(data[at+slotSize-4:]) {
			good = append(good, at)
		}
	}
	return data, good, nil
}

func slotSum(slot []byte) uint32 { return crc32.Checksum(slot[:slotSize-4], castagnoli) }

// writeWitness stores the file, the given slots sealed anew.
func (t *tampering) writeWitness(data []byte, slots ...int) error {
	for _, at := range slots {
		binary.LittleEndian.PutUint32(data[at+slotSize-4:], slotSum(data[at:]))
	}
	f, err := t.fs.Create(t.witness, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// changeWitness makes a slot say what is not so.
func (t *tampering) changeWitness() (string, error) {
	data, good, err := t.readWitness()
	if err != nil {
		return "", err
	}
	var told []int
	for _, at := range good {
		if binary.BigEndian.Uint64(data[at+tsAt:]) > 0 {
			told = append(told, at)
		}
	}
	if len(told) == 0 {
		return "", ErrNothing
	}
	at := told[(t.Nth-1)%len(told)]
	if t.How == "ahead" {
		binary.BigEndian.PutUint64(data[at+tsAt:], 1<<40)
	} else {
		data[at+hashAt+min(int(t.Where*hashSize), hashSize-1)] ^= 1 << t.Bit
	}
	return fmt.Sprintf("slot %d", at/stride), t.writeWitness(data, at)
}

// rewind makes every slot name a commit as the last.
func (t *tampering) rewind(ts uint64) error {
	data, good, err := t.readWitness()
	if err != nil {
		return err
	}
	hash := make([]byte, hashSize)
	if log := t.find(keyOf('l', ts)); log != nil {
		hash = log.body[:hashSize]
	}
	for _, at := range good {
		binary.BigEndian.PutUint64(data[at+tsAt:], ts)
		copy(data[at+hashAt:], hash)
	}
	return t.writeWitness(data, good...)
}

// spoil makes the slot that was written last one that does not check.
func (t *tampering) spoil() error {
	data, good, err := t.readWitness()
	if err != nil {
		return err
	}
	last := -1
	for _, at := range good {
		if at < 2*stride && (last < 0 || binary.BigEndian.Uint64(data[at+turnAt:]) > binary.BigEndian.Uint64(data[last+turnAt:])) {
			last = at
		}
	}
	if last < 0 {
		return ErrNothing
	}
	data[last+hashAt] ^= 1
	return t.writeWitness(data)
}
