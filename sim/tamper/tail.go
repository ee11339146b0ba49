package tamper

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// rewrite gives a record that an event tells of another value, and the event its digest. With
// done, that is told before the event is stored.
func (t *tampering) rewrite(i int, done func(event *row)) (string, error) {
	if i < 0 {
		return "", ErrNothing
	}
	event := t.rows['e'][i].clone()
	agent, _, _ := names(event.key, 'e', 2)
	for _, o := range writes(event.body) {
		found := t.find(keyOf('r', ^o.version, agent[0], agent[1], o.key))
		if found == nil {
			continue
		}
		value := []byte(`"tampered"`)
		record := found.clone()
		_, n := binary.Uvarint(record.body[1:])
		record.body = append(record.body[:1+n+8], value...)
		if bytes.Equal(record.body, found.body) {
			continue
		}
		sum := sha256.Sum256(value)
		digest := append(binary.AppendUvarint(nil, uint64(len(value))), sum[:16]...)
		event.body = bytes.Join([][]byte{event.body[:o.from], digest, event.body[o.to:]}, nil)
		record.seal()
		event.seal()
		if done != nil {
			done(&event)
		}
		return fmt.Sprintf("%s %d of %d, and its record", "event", i+1, len(t.rows['e'])), errors.Join(t.put(record), t.put(event))
	}
	return "", ErrNothing
}

// rank orders the events by their place in their commits, the last first.
func (t *tampering) rank() {
	place := make(map[string]int)
	for i := range t.rows['l'] {
		for at, event := range t.eventsOf(&t.rows['l'][i]) {
			if event != nil {
				place[string(event.key)] = at
			}
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
	log := found.clone()
	for _, event := range t.eventsOf(&log) {
		for i := range t.rows['e'] {
			if event != &t.rows['e'][i] {
				continue
			}
			what, err := t.rewrite(i, func(changed *row) { *event = *changed })
			if errors.Is(err, ErrNothing) {
				continue
			}
			previous := make([]byte, hashSize)
			if before := t.find(keyOf('l', ts-1)); before != nil {
				previous = before.body[:hashSize]
			}
			var bodies [][]byte
			for _, e := range t.eventsOf(&log) {
				bodies = append(bodies, e.body)
			}
			copy(log.body, chained(previous, ts, log.body[hashSize:], bodies))
			log.seal()
			return what + ", chain and all", errors.Join(err, t.put(log))
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
