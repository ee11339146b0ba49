package mcp

import (
	"strings"
	"testing"
)

// TestGone: why a value is not there any more; erased is said of one that was pruned, too.
func TestGone(t *testing.T) {
	for want, of := range map[string][][2]bool{"": {{false, false}}, "pruned": {{false, true}}, "erased": {{true, false}, {true, true}}} { // order cannot matter
		for _, x := range of {
			if got := gone(x[0], x[1]); got != want {
				t.Errorf("erased %t, pruned %t: %q", x[0], x[1], got)
			}
		}
	}
}

// TestPieces: a text is shown piece by piece, at whole characters, and begins again nowhere else.
func TestPieces(t *testing.T) {
	text := []byte(strings.Repeat("x", maxPiece-1) + "é" + strings.Repeat("y", maxPiece))
	whole, at, pieces := "", 0, 0
	for {
		piece, next, err := pieceOf(text, at)
		if err != nil || len(piece) > maxPiece {
			t.Fatalf("from %d: %d bytes, %v", at, len(piece), err)
		}
		whole, pieces = whole+piece, pieces+1
		if at = next; next == 0 {
			break
		}
	}
	if whole != string(text) || pieces != 3 {
		t.Errorf("%d pieces, of %d bytes in all", pieces, len(whole))
	}
	for from, good := range map[int]bool{-1: false, 0: true, maxPiece - 1: true, maxPiece: false, len(text): true, len(text) + 1: false} {
		if _, _, err := pieceOf(text, from); (err == nil) != good {
			t.Errorf("from %d of %d: %v", from, len(text), err)
		}
	}
}
