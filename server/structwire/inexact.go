package structwire

import (
	"strconv"
	"strings"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// A Struct carries doubles only. What it cannot carry exactly goes out as the nearest
// one, with pb.Inexact beside it: a client that knows of Structs alone must not lose
// an agent because someone wrote one number past 2^53 into it.

const (
	maxPlaces     = 16
	maxPlaceBytes = 2 << 10
)

// Inexact are the numbers of one value that are not doubles. The zero value:
// there are none.
type Inexact struct {
	Count      int
	First      string // as it is spelled; cut if it is very long
	Offset     int    // of its first byte in the JSON text
	places     []string
	placeBytes int
}

// pathStep is where in an open container the writer is: at the entry whose key is
// dst[keyFrom:keyTo], or, both being 0, at an item of a list.
type pathStep struct {
	keyFrom, keyTo int
	item           int
}

func (n *Inexact) add(w *structWriter, text []byte, offset int) {
	n.Count++
	if n.Count == 1 {
		n.First, n.Offset = abbreviated(text), offset
	}
	if len(n.places) == maxPlaces {
		return
	}
	size := 0
	for _, s := range w.path[:w.depth] {
		size += 1 + s.keyTo - s.keyFrom
	}
	if size+n.placeBytes > maxPlaceBytes {
		return // spares spelling out a key of a megabyte
	}
	if place := w.pointer(); len(place)+n.placeBytes <= maxPlaceBytes {
		n.places = append(n.places, place)
		n.placeBytes += len(place)
	}
}

// pointer is the JSON Pointer (RFC 6901) to where the writer is.
func (w *structWriter) pointer() string {
	var b strings.Builder
	for _, s := range w.path[:w.depth] {
		b.WriteByte('/')
		if s.keyTo == 0 {
			b.WriteString(strconv.Itoa(s.item))
			continue
		}
		for _, c := range w.dst[s.keyFrom:s.keyTo] {
			switch c {
			case '~':
				b.WriteString("~0")
			case '/':
				b.WriteString("~1")
			default:
				b.WriteByte(c)
			}
		}
	}
	return b.String()
}

func (n *Inexact) message() *pb.Inexact {
	return &pb.Inexact{Numbers: uint64(n.Count), Places: n.places}
}
