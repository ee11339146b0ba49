#!/usr/bin/env bash
# Names the oldest Python at hand that the SDK supports and the floors of its dependencies
# have wheels for: 3.9 to 3.12.
for python in python3.9 python3.10 python3.11 python3.12 "${PYTHON:-python3}"; do
  if "$python" -c 'import sys, venv; sys.exit(not (3, 9) <= sys.version_info[:2] < (3, 13))' \
    2>/dev/null; then
    echo "$python"
    exit
  fi
done
echo "needs a Python from 3.9 to 3.12" >&2
exit 1
