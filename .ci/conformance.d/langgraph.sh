#!/usr/bin/env bash
# LangGraph's suite for checkpointers, put to Statehouse's savers and to LangGraph's own ones: in
# memory, SQLite, and PostgreSQL if its programs are here. Two workers that run one thread, 1,000
# times. And the store, by the behaviour of PostgreSQL's.
#
# The suite of PyPI has no tests of delta channels yet; those of LangGraph's repository are in delta_channels.
# $LANGGRAPH_SUITE may name a directory with a later suite, libs/checkpoint-conformance of that repository.
set -euo pipefail
here=.ci/conformance.d
venv=$CONFORMANCE_CACHE/langgraph
if ! cmp -s $here/langgraph.txt "$venv/requirements"; then
	"${PYTHON:-python3}" -m venv --clear "$venv"
	"$venv/bin/pip" -q install --disable-pip-version-check -r $here/langgraph.txt
	cp $here/langgraph.txt "$venv/requirements"
fi

# PostgreSQL does not run as root.
own=()
[ "$(id -u)" != 0 ] || own=(setpriv --reuid=postgres --regid=postgres --init-groups)
initdb=$(command -v initdb || ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | tail -n 1) || true
if [ -n "$initdb" ]; then
	bin=$(dirname "$initdb")
	data=$(mktemp -d)
	chmod 755 "$data"
	[ "$(id -u)" != 0 ] || chown postgres "$data"
	stop() { "${own[@]+"${own[@]}"}" "$bin/pg_ctl" -D "$data/db" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$data"; }
	trap stop EXIT
	"${own[@]+"${own[@]}"}" "$bin/initdb" -D "$data/db" -A trust -U postgres >/dev/null
	"${own[@]+"${own[@]}"}" "$bin/pg_ctl" -D "$data/db" -o "-c listen_addresses='' -k $data" -l "$data/log" -w start >/dev/null
	export POSTGRES="postgresql://postgres@/postgres?host=$data"
fi
export PYTHONPATH=${LANGGRAPH_SUITE:+$LANGGRAPH_SUITE:}python
"$venv/bin/python" -W ignore $here/langgraph_savers.py
