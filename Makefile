TOOL := go tool -modfile=.ci/tools/go.mod
