package rivals

import (
	"context"
	"errors"

	"statehouse.dev/statehouse/cmd/statehouse-bench/child"
)

func startNATS(ctx context.Context, dir string) (*child.Process, dialer, error) {
	return nil, nil, errors.New("not yet")
}
