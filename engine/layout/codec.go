package layout

import (
	"encoding/binary"
	"encoding/hex"
	"time"

	"statehouse.dev/statehouse/engine/words"
)

// The small encodings that rows are made of.

func AppendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// AppendTime writes nanoseconds since 1970, big-endian.
func AppendTime(dst []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(t.UnixNano()))
}

// A UUID in its usual spelling is kept as its 16 bytes, any other id as text.
const (
	txnIDText = 0
	txnIDUUID = 1
)

const uuidTextSize = 36

func AppendTxnID(dst []byte, id words.TxnID) []byte {
	if u, ok := parseUUID(string(id)); ok {
		return append(append(dst, txnIDUUID), u[:]...)
	}
	return AppendString(append(dst, txnIDText), string(id))
}

// parseUUID accepts the one spelling that FormatUUID prints.
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

func FormatUUID(u [16]byte) words.TxnID {
	var s [uuidTextSize]byte
	hex.Encode(s[0:8], u[0:4])
	hex.Encode(s[9:13], u[4:6])
	hex.Encode(s[14:18], u[6:8])
	hex.Encode(s[19:23], u[8:10])
	hex.Encode(s[24:], u[10:])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return words.TxnID(s[:])
}

// NewTxnID makes a UUID version 7 (RFC 9562). Its time shows when an id is older than
// the outcomes kept.
func NewTxnID(now time.Time, fill func([]byte)) words.TxnID {
	var u [16]byte
	fill(u[:])
	ms := uint64(now.UnixMilli())
	binary.BigEndian.PutUint16(u[0:2], uint16(ms>>32))
	binary.BigEndian.PutUint32(u[2:6], uint32(ms))
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	return FormatUUID(u)
}

// TxnIDTime returns the time in a UUID version 7.
func TxnIDTime(id words.TxnID) (time.Time, bool) {
	u, ok := parseUUID(string(id))
	if !ok || u[6]>>4 != 7 {
		return time.Time{}, false
	}
	ms := uint64(binary.BigEndian.Uint16(u[0:2]))<<32 | uint64(binary.BigEndian.Uint32(u[2:6]))
	return time.UnixMilli(int64(ms)), true
}

// Decoder reads what the append functions write and accepts no other encoding of it: a
// second encoding would have a second hash. After the first mistake it returns
// zero values and sets failed, so callers check once.
type Decoder struct {
	Rest   []byte
	Failed bool
}

func (d *Decoder) Bytes(n int) []byte {
	if d.Failed || n < 0 || n > len(d.Rest) {
		d.Failed = true
		return nil
	}
	b := d.Rest[:n]
	d.Rest = d.Rest[n:]
	return b
}

func (d *Decoder) Byte() byte {
	if b := d.Bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *Decoder) Uvarint() uint64 {
	v, n := binary.Uvarint(d.Rest)
	if n <= 0 || n > 1 && d.Rest[n-1] == 0 { // longer than needed
		d.Failed = true
	}
	if d.Failed {
		return 0
	}
	d.Rest = d.Rest[n:]
	return v
}

// Count reads the number of items that follow, each at least minSize bytes, so
// that a corrupt count cannot make the caller allocate much.
func (d *Decoder) Count(minSize int) int {
	n := d.Uvarint()
	if n > uint64(len(d.Rest)/minSize) {
		d.Failed = true
		return 0
	}
	return int(n)
}

func (d *Decoder) Str() string {
	n := d.Uvarint()
	if n > uint64(len(d.Rest)) {
		d.Failed = true
		return ""
	}
	return string(d.Bytes(int(n)))
}

// text is string without a copy.
func (d *Decoder) Raw() []byte {
	n := d.Uvarint()
	if n > uint64(len(d.Rest)) {
		d.Failed = true
		return nil
	}
	return d.Bytes(int(n))
}

// End reports whether everything was read and was right.
func (d *Decoder) End() bool { return !d.Failed && len(d.Rest) == 0 }

func (d *Decoder) Time() time.Time {
	if b := d.Bytes(8); b != nil {
		return time.Unix(0, int64(binary.BigEndian.Uint64(b))).UTC()
	}
	return time.Time{}
}

func (d *Decoder) TxnID() words.TxnID {
	switch d.Byte() {
	case txnIDUUID:
		if b := d.Bytes(16); b != nil {
			return FormatUUID([16]byte(b))
		}
	case txnIDText:
		id := d.Str()
		if _, isUUID := parseUUID(id); !isUUID {
			return words.TxnID(id)
		}
	}
	d.Failed = true
	return ""
}
