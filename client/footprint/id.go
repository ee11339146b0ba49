package footprint

import (
	"encoding/hex"
	"time"
)

// NewID makes a UUID of version 7 (RFC 9562): the time in milliseconds, then
// randomness. The daemon decides by that time whether it may have dropped the outcome of
// an id, so a client's clock should be right to the day.
func NewID(now time.Time, random func(p []byte)) string {
	var b [16]byte
	random(b[6:])
	ms := uint64(now.UnixMilli())
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
