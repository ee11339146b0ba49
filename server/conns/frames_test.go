package conns

import (
	"bytes"
	"testing"

	"golang.org/x/net/http2"

	"statehouse.dev/statehouse/server/wiretest"
)

// However bytes are cut, the scanner sees the frames that http2's framer sees, and the
// same payload; messages sees the lengths in them.
func FuzzScanner(f *testing.F) {
	f.Add([]byte("\x00\x00\x05\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00"), uint8(3))
	f.Add(append(appendStatus(nil, 1, false, false, resourceExhausted, "no"), goAway(7, errNone, "why")...), uint8(1))
	f.Fuzz(func(t *testing.T, wire []byte, step uint8) {
		want := http2.NewFramer(nil, bytes.NewReader(wire))
		var s scanner
		var payload []byte
		for rest := wire; len(rest) > 0; {
			part := rest[:min(len(rest), int(step)+1)]
			rest = rest[len(part):]
			for len(part) > 0 {
				n, body, done := s.next(part)
				payload = append(payload, part[n-body:n]...)
				part = part[n:]
				if !done {
					continue
				}
				h, err := want.ReadFrameHeader()
				if err != nil {
					t.Fatalf("a frame %+v where there is none: %v", s.frame, err)
				}
				if h.Length != s.length || byte(h.Type) != s.kind || byte(h.Flags) != s.flags || h.StreamID != s.stream || len(payload) != int(h.Length) {
					t.Fatalf("%+v with %d bytes, want %v", s.frame, len(payload), h)
				}
				_, _ = want.ReadFrameForHeader(h) // it may refuse the content; the bytes are consumed
				payload = payload[:0]
			}
		}
	})
}

func TestMessages(t *testing.T) {
	wire := append(append(wiretest.Prefix(3), 1, 2, 3), append(wiretest.Prefix(0), append(wiretest.Prefix(300), make([]byte, 300)...)...)...)
	for step := 1; step < len(wire); step++ {
		var m messages
		for at := 0; at < len(wire); at += step {
			m.take(wire[at:min(len(wire), at+step)])
			whole := at+step >= len(wire) || at+step == 8 || at+step == 13
			if m.between() != whole {
				t.Fatalf("in steps of %d, after %d bytes: between messages: %v", step, at+step, m.between())
			}
		}
		if m.most != 300 {
			t.Fatalf("the longest has %d bytes", m.most)
		}
	}
}

func TestFirstSettings(t *testing.T) {
	var b bytes.Buffer
	fr := http2.NewFramer(&b, &b)
	_ = fr.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 16384}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 22}, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 4})
	changed := append(b.Bytes()[:frameHeaderLen:frameHeaderLen], firstSettings(b.Bytes()[frameHeaderLen:], firstWindow)...)
	f, err := http2.NewFramer(nil, bytes.NewReader(changed)).ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	settings := f.(*http2.SettingsFrame)
	for id, want := range map[http2.SettingID]uint32{http2.SettingMaxFrameSize: 16384, http2.SettingInitialWindowSize: firstWindow, http2.SettingMaxConcurrentStreams: 4} { // in any order
		if got, _ := settings.Value(id); got != want {
			t.Errorf("%v is %d, want %d", id, got, want)
		}
	}
}
