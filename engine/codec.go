package engine

import (
	"encoding/binary"
	"encoding/hex"
	"time"
)

// The small encodings that rows are made of.

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendTime writes nanoseconds since 1970, big-endian.
func appendTime(dst []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(t.UnixNano()))
}

// A UUID in its usual spelling is kept as its 16 bytes, any other id as text.
const (
	txnIDText = 0
	txnIDUUID = 1
)

const uuidTextSize = 36

func appendTxnID(dst []byte, id TxnID) []byte {
	if u, ok := parseUUID(string(id)); ok {
		return append(append(dst, txnIDUUID), u[:]...)
	}
	return appendString(append(dst, txnIDText), string(id))
}

// parseUUID accepts the one spelling that formatUUID prints.
func parseUUID(s string) (u [16]byte, ok bool) {
	if len(s) != uuidTextSize || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, false
	}
	at := 0
	for i := range u {
		if at == 8 || at == 13 || at == 18 || at == 23 {
			at++
		}
		hi, lo := hexValue(s[at]), hexValue(s[at+1])
		if hi > 15 || lo > 15 {
			return u, false
		}
		u[i] = hi<<4 | lo
		at += 2
	}
	return u, true
}

func hexValue(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

func formatUUID(u [16]byte) TxnID {
	var s [uuidTextSize]byte
	hex.Encode(s[0:8], u[0:4])
	hex.Encode(s[9:13], u[4:6])
	hex.Encode(s[14:18], u[6:8])
	hex.Encode(s[19:23], u[8:10])
	hex.Encode(s[24:], u[10:])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return TxnID(s[:])
}

// newTxnID makes a UUID version 7 (RFC 9562). Its time shows when an id is older than
// the outcomes kept.
func newTxnID(now time.Time, fill func([]byte)) TxnID {
	var u [16]byte
	fill(u[:])
	ms := uint64(now.UnixMilli())
	binary.BigEndian.PutUint16(u[0:2], uint16(ms>>32))
	binary.BigEndian.PutUint32(u[2:6], uint32(ms))
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	return formatUUID(u)
}

// txnIDTime returns the time in a UUID version 7.
func txnIDTime(id TxnID) (time.Time, bool) {
	u, ok := parseUUID(string(id))
	if !ok || u[6]>>4 != 7 {
		return time.Time{}, false
	}
	ms := uint64(binary.BigEndian.Uint16(u[0:2]))<<32 | uint64(binary.BigEndian.Uint32(u[2:6]))
	return time.UnixMilli(int64(ms)), true
}

// decoder reads what the append functions write and accepts no other encoding of it: a
// second encoding would have a second hash. After the first mistake it returns
// zero values and sets failed, so callers check once.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) bytes(n int) []byte {
	if d.failed || n < 0 || n > len(d.rest) {
		d.failed = true
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 || n > 1 && d.rest[n-1] == 0 { // longer than needed
		d.failed = true
	}
	if d.failed {
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// count reads the number of items that follow, each at least minSize bytes, so
// that a corrupt count cannot make the caller allocate much.
func (d *decoder) count(minSize int) int {
	n := d.uvarint()
	if n > uint64(len(d.rest)/minSize) {
		d.failed = true
		return 0
	}
	return int(n)
}

func (d *decoder) string() string {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.failed = true
		return ""
	}
	return string(d.bytes(int(n)))
}

// text is string without a copy.
func (d *decoder) text() []byte {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.failed = true
		return nil
	}
	return d.bytes(int(n))
}

// end reports whether everything was read and was right.
func (d *decoder) end() bool { return !d.failed && len(d.rest) == 0 }

func (d *decoder) time() time.Time {
	if b := d.bytes(8); b != nil {
		return time.Unix(0, int64(binary.BigEndian.Uint64(b))).UTC()
	}
	return time.Time{}
}

func (d *decoder) txnID() TxnID {
	switch d.byte() {
	case txnIDUUID:
		if b := d.bytes(16); b != nil {
			return formatUUID([16]byte(b))
		}
	case txnIDText:
		id := d.string()
		if _, isUUID := parseUUID(id); !isUUID {
			return TxnID(id)
		}
	}
	d.failed = true
	return ""
}
