package live

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Build builds the daemon of the repository that root is in, into dir, and returns
// its path. flags are more of them for go build.
func Build(ctx context.Context, root, dir string, flags ...string) (string, error) {
	binary := filepath.Join(dir, "statehoused")
	args := append([]string{"build", "-tags", "grpcnotrace", "-o", binary}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "statehouse.dev/statehouse/cmd/statehoused")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the daemon: %w\n%s", err, out)
	}
	return binary, nil
}
