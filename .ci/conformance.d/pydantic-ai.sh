#!/usr/bin/env bash
# The adapter to Pydantic AI's harness: its framework's own suite and our tests, at both ends of the versions, beside what
# the framework's own store scores.
exec python/adapters/run.sh all pydantic_ai
