package mcp

import "testing"

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
