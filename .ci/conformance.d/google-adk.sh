#!/usr/bin/env bash
# The adapter to the Google ADK: its framework's own suite and our tests, at both ends of the versions, beside what
# the framework's own store scores.
exec python/adapters/run.sh all google_adk
