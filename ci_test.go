package statehouse

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestCachesWithoutHome: where there is no home directory, or none that can be written to,
// make puts Go's caches elsewhere; with one they are where Go has them.
func TestCachesWithoutHome(t *testing.T) {
	caches := []string{"HOME=", "GOCACHE=", "GOMODCACHE=", "GOPATH=", "XDG_CACHE_HOME="}
	rest := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return slices.ContainsFunc(caches, func(name string) bool { return strings.HasPrefix(v, name) })
	})
	for home, want := range map[string]string{ // each on its own: order cannot matter
		"":                       "GOCACHE\nGOMODCACHE\n",
		"HOME=/dev/null/nowhere": "GOCACHE\nGOMODCACHE\n",
		"HOME=" + t.TempDir():    "",
	} {
		cmd := exec.CommandContext(t.Context(), "bash", ".ci/gocache")
		cmd.Env = rest
		if home != "" {
			cmd.Env = append(slices.Clone(rest), home)
		}
		if out, err := cmd.Output(); err != nil || string(out) != want {
			t.Errorf("%s: %v, %q, want %q", home, err, out, want)
		}
	}
}
