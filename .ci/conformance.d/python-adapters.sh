#!/usr/bin/env bash
# The Python adapters to agent frameworks: their own suites and our tests, at both ends of the
# versions, beside what the frameworks' own stores score.
exec python/adapters/run.sh all
