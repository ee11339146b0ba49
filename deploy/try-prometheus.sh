#!/usr/bin/env bash
# Runs a daemon under load and a real Prometheus (Debian: apt-get install prometheus) that scrapes
# it, and asks every query of the dashboard and of the alerts: each must answer.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v prometheus >/dev/null || { echo "there is no prometheus here: apt-get install prometheus" >&2; exit 2; }
if command -v promtool >/dev/null; then
  promtool check rules deploy/alerts.yml
  promtool check config deploy/prometheus.yml
fi
go test ./cmd/statehoused -run 'TestPrometheus$' -count=1 -v
