"""What clients write down of themselves, and what the judge makes of it."""

import asyncio
import json
import os
import re
import resource
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from statehouse import (
    ConflictError,
    InvalidArgument,
    NotFoundError,
    PreconditionFailed,
    Statehouse,
    StatehouseError,
    Write,
    _capture,
    _captures,
    _history,
    _lines,
)
from statehouse._digests import Digests, canonical
from statehouse._proto import methods, status_pb2
from statehouse._proto import statehouse_pb2 as pb
from statehouse._status import from_rpc
from statehouse.testing import Daemon
from statehouse.testing._binary import find_binary

from proxy import Proxy


@pytest.fixture
def daemon():
    with Daemon() as daemon:
        yield daemon


@pytest.fixture
def file(tmp_path):
    return tmp_path / "history.jsonl"


def lines(file):
    return [json.loads(line) for line in Path(file).read_text().splitlines()]


def operations(file):
    return sorted((line["op"] for line in lines(file) if "op" in line), key=lambda op: op["id"])


def check(file):
    """What statehouse-sim says of a history: its exit code and its words."""
    run = subprocess.run(
        [find_binary("statehouse-sim"), "check", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout + run.stderr


async def session(client):
    """Uses everything, much of it at once."""

    async def count(tx):
        record = await tx.get_state("shared", "count")
        await asyncio.sleep(0.001)
        await tx.write("shared", "count", {"n": record.value["n"] + 1 if record else 1})

    async def work(name):
        for i in range(4):
            await client.write(name, f"k/{i}", {"n": i, "x": 1.0}, metadata={"actor": name})
            await client.run_transaction(count)
            async with client.begin_transaction(timeout=20) as tx:
                await tx.write(name, "a", {"<&>": "é"})
                await tx.write(name, "b", {}, expected_version=0 if i == 0 else None)
                assert len([r async for r in tx.scan_prefix(name)]) >= 3
                await tx.delete(name, "b")
            assert len(await client.list_keys(name, reverse=True)) == i + 2
        with pytest.raises(PreconditionFailed):
            await client.write(name, "a", {}, expected_version=77)
        assert len([e async for e in client.history(name, "a", oldest_first=True)]) == 4
        assert len([e async for e in client.history(name, "a", limit=1, values=False)]) == 1
        await client.get_many(name, ["a", "nothing"], as_of=4)
        assert (await client.get_state_at_version(name, "a", 2)).version == 2
        with pytest.raises(NotFoundError):
            await client.get_state_at_version(name, "a", 99)
        tx = await client.begin_transaction()
        await tx.write(name, "never", {})
        await tx.abort()

    await asyncio.gather(*(work(f"a{n}") for n in range(4)))
    done = await client.transact(
        [Write("a0", "z", {"n": 1}), Write("a9", "z", {}, namespace="other")],
        metadata={"why": "both"},
    )
    assert (await client.get_transaction(done.txn_id)).commit == done
    record = await client.get_state("a0", "z", as_of=done.timestamp)
    assert record.commit_ts == done.commit_ts
    assert await client.list_agents("a9", namespace="other")
    assert len(await client.list_namespaces()) == 2
    seen = [e async for e in client.replay("a1", from_timestamp=2, limit=3)]
    assert len(seen) == 3
    async for _ in client.watch("a0", after=0):
        break


async def replays(client):
    for namespace in await client.list_namespaces():
        assert [e async for e in client.replay(namespace=namespace)]


@pytest.mark.parametrize("redact", [False, True])
async def test_a_session_is_judged(dial, daemon, file, redact):
    client = dial(daemon.url, capture=file, capture_redact=redact, page_size=2)
    await session(client)
    await replays(client)
    await client.close()
    code, said = check(file)
    assert code == 0, said
    assert re.search(r"[1-9]\d\d operations, [3-9]\d commits, .*: ok\n", said)

    known = operations(file)
    assert {op["kind"] for op in known} == set(_history.KINDS.values())
    assert {op["outcome"] for op in known} == {"ok", "fail", "unknown"}
    assert [op["id"] for op in known] == list(range(1, len(known) + 1))
    assert any(op["in"].get("page_of") for op in known if op["kind"] == "scan")
    assert lines(file)[-1]["end"] == {"complete": False, "lines": len(lines(file)) - 1}
    text = file.read_text()
    assert ("actor" in text, "digest:" in text) == (True, redact)
    assert ('"n\\":3' in text, '"both"' in text) == (not redact, not redact)

    # One answer edited: the judge sees it.
    at = next(
        op["id"]
        for op in known
        if op["kind"] == "get" and op["outcome"] == "ok" and "value" in op["out"]["records"][0]
    )
    text = re.sub(
        rf'(\{{"op":\{{"id":{at},.*"version":)(\d+)', lambda m: m[1] + str(int(m[2]) + 1), text
    )
    file.write_text(text)
    code, said = check(file)
    assert code == 1, said
    assert f"#{at} get" in said


def test_others_write_to_the_same_store(daemon, file):
    def count(tx):
        record = tx.get_state("a1", "count")
        tx.write("a1", "count", {"n": record.value["n"] + 1 if record else 1})

    def work(client):
        for _ in range(20):
            client.run_transaction(count)
            client.get_state("a1", "count")

    with Statehouse(daemon.url, capture=file) as client, Statehouse(daemon.url) as other:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, [client, other, client, other]))
        list(client.replay())
    code, said = check(file)
    assert code == 0, said
    assert "80 commits (40 of others)" in said


async def test_one_that_is_not_whole_is_not_called_right(dial, daemon, file):
    with Statehouse(daemon.url) as other:
        other.write("a1", "before", {})
    client = dial(daemon.url, capture=file)
    await client.write("a1", "k", {})
    await client.close()
    code, said = check(file)
    assert code == 7
    assert "commits [1] are not in it" in said


@pytest.mark.parametrize("what", ["reply", "request"])
async def test_what_is_sent_again_is_another_operation(dial, daemon, file, what):
    with Proxy(daemon.port) as proxy:
        client = dial(proxy.url, capture=file)
        await client.health()
        proxy.lose(what, times=2)
        commit = await client.write("a1", "k", {"n": 1})
        tx = await client.begin_transaction()
        proxy.lose(what)
        with pytest.raises(StatehouseError):
            await tx.write("a1", "k", {"n": 2})
        await tx.abort()
        await replays(client)
        await client.close()
    first, second, third, _, write, *_ = operations(file)
    assert [op["in"]["txn"] for op in (first, second, third)] == [commit.txn_id] * 3
    assert [op["outcome"] for op in (first, second, third)] == ["unknown", "unknown", "ok"]
    assert first["return"] < second["call"] < second["return"] < third["call"]
    assert (write["kind"], write["outcome"], write["error"]["code"]) == (
        "write",
        "unknown",
        "unavailable",
    )
    assert check(file)[0] == 0


def test_lanes_are_the_smallest_free(daemon, file):
    op = {}
    recording = _capture.Capture(str(file), redact=False)

    def call():
        return recording._call("get", pb.GetStateRequest(agent_id="a", key="k"))

    for name in ("x", "y", "z"):
        op[name] = call()
    recording._answer(op["y"], pb.GetStateResponse(read_ts=1))
    recording._end(op["x"], "unknown", None)
    op["u"], op["v"], op["w"] = call(), call(), call()
    assert [op[n].lane for n in "xyzuvw"] == [1, 2, 3, 1, 2, 4]
    assert [op[n].id for n in "xyzuvw"] == [1, 2, 3, 4, 5, 6]
    recording.close()
    assert [o["outcome"] for o in operations(file)] == ["unknown", "ok"] + ["unknown"] * 4
    assert "return" not in operations(file)[2]  # it was under way


def test_threads_share_a_client(daemon, file):
    def work(n):
        for i in range(25):
            client.write(f"a{n % 3}", "k", {"n": i})
            client.get_state(f"a{n % 3}", "k")

    with Statehouse(daemon.url, capture=file) as client, ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
        list(client.replay())
    known = operations(file)
    assert len(known) == 401
    assert {op["client"] for op in known} <= {f"c{n}" for n in range(1, 9)}
    for lane in {op["client"] for op in known}:  # one at a time in each
        mine = [op for op in known if op["client"] == lane]
        assert all(a["return"] <= b["call"] for a, b in zip(mine, mine[1:]))
    code, said = check(file)
    assert code == 0, said


async def test_a_stream_under_way_when_the_client_is_closed(dial, daemon, file):
    client = dial(daemon.url, capture=file)
    await client.write("a1", "k", {})
    watch = client.watch(after=0)
    assert (await watch.__anext__()).commit_ts == 1
    while '"batch"' not in file.read_text():  # it does not wait for the end
        await asyncio.sleep(0.01)
    await client.close()
    with pytest.raises(StatehouseError):
        await watch.__anext__()
    assert [(op["kind"], op["outcome"]) for op in operations(file)] == [
        ("transact", "ok"),
        ("watch", "unknown"),
    ]
    assert [line["batch"]["cursor"] for line in lines(file) if "batch" in line][-1] == 1
    assert check(file)[0] == 0


def test_long_replays_do_not_wait_in_memory(daemon, file, monkeypatch):
    monkeypatch.setattr(_capture, "_HELD", 1)
    with Statehouse(daemon.url, capture=file) as client:
        client.write("a1", "k", {"n": 1})
        assert len(list(client.replay())) == 1
    assert [op["outcome"] for op in operations(file)] == ["ok", "unknown"]
    assert check(file)[0] == 0


async def test_a_cancelled_request_is_unknown(daemon, file):
    async with daemon.async_client(capture=file) as client:
        await client.health()
        daemon.pause()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.write("a1", "k", {}), 0.1)
        daemon.resume()
        await client.write("a1", "l", {})
        await replays(client)
    first = operations(file)[0]
    assert (first["outcome"], first["error"]["code"]) == ("unknown", "canceled")
    assert check(file)[0] == 0


def gap(file):
    return next(line["gap"] for line in lines(file) if "gap" in line)


@pytest.mark.parametrize("room", ["never", "again"])
def test_a_full_disk_costs_the_history_and_nothing_else(daemon, file, caplog, room):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Statehouse(daemon.url, capture=file) as client:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        try:
            for i in range(100):
                client.write("a1", "k", {"n": i, "x": "x" * 200})
            if room == "never":
                client.close()
            while client._capture and client._capture._lines._waiting:
                pass
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "recorded no longer" in caplog.text
    assert 17_000 < file.stat().st_size <= 20_000
    known = operations(file)
    lost = gap(file)
    assert len(known) + lost["lost"] == 100
    assert len(known) > 20
    assert lost["from"] > known[-1]["return"] > known[-1]["call"]
    assert lost["to"] > lost["from"]
    assert "File too large" in lost["why"]
    code, said = check(file)
    assert "is not a history" not in said, code


def test_a_gap_begins_with_the_first_call_that_is_lost(file):
    found = _lines.Lines(str(file), {}, lambda: 99)
    found.lose(50, 1, "a")
    found.lose(10, 2, "b")
    found.lose(60, 0, "c")
    found.close()
    assert gap(file) == {"from": 10, "to": 99, "lost": 3, "why": "a"}


def test_no_disk_at_all(daemon, tmp_path, caplog):
    with Statehouse(daemon.url, capture=tmp_path) as client:  # it is a directory
        assert client.write("a1", "k", {}).version == 1
    assert "recorded no longer" in caplog.text
    with pytest.raises(InvalidArgument, match="no such directory"):
        Statehouse(daemon.url, capture=tmp_path / "nowhere" / "file")


def test_a_slow_disk_costs_what_does_not_fit_into_memory(daemon, file, monkeypatch):
    slow, write = threading.Event(), _lines._write_all
    monkeypatch.setattr(_lines, "MAX_WAITING", 20_000)
    monkeypatch.setattr(_lines, "_write_all", lambda *a: (slow.wait(10), write(*a)))
    with Statehouse(daemon.url, capture=file, page_size=1) as client:
        for i in range(50):
            client.write("a1", f"k/{i}", {})
        list(client.scan_prefix("a1", limit=3))  # of which nothing fits
        slow.set()
        while client._capture._lines._waiting:
            pass
        client.write("a1", "last", {})
    known, lost = operations(file), gap(file)
    assert len(known) < 50
    assert known[-1]["in"]["writes"][0]["key"] == "last"
    assert len(known) + lost["lost"] == 54
    assert lost["from"] == pytest.approx(known[-2]["return"], abs=10**9)
    assert known[-2]["call"] < lost["from"] < lost["to"] < known[-1]["return"]
    assert "the disk was too slow" in lost["why"]
    assert check(file)[0] == 7  # nobody replayed what it lost


def test_a_transaction_is_whole_or_missing(daemon, file, monkeypatch):
    with Statehouse(daemon.url, capture=file) as client:
        client.write("a1", "k", {"n": 0})
        begun = client.begin_transaction()
        begun.write("a1", "k", {"n": 1})
        with monkeypatch.context() as full:
            full.setattr(_lines, "MAX_WAITING", 0)
            begun.write("a1", "l", {"n": 1})
            unseen = client.begin_transaction()
        unseen.write("a1", "m", {"n": 2})
        begun.commit()
        unseen.commit()
        list(client.replay())
    assert [op["kind"] for op in operations(file)] == ["transact", "begin", "write", "replay"]
    assert gap(file)["lost"] == 5
    code, said = check(file)
    assert code == 0, said
    assert "3 commits (2 of others)" in said


def test_a_stream_is_not_recorded_behind_a_hole(file, monkeypatch):
    recording = _capture.Capture(str(file), redact=False)
    op = recording._call("watch", pb.WatchRequest(all_agents=True))
    recording._batch(op, pb.EventBatch(cursor=1))
    monkeypatch.setattr(_lines, "MAX_WAITING", 0)
    recording._batch(op, pb.EventBatch(cursor=2))
    monkeypatch.undo()
    recording._batch(op, pb.EventBatch(cursor=3))
    recording._end(op, "ok", None)
    assert recording._call("get", pb.GetStateRequest()).lane == op.lane
    recording.close()
    assert [line["batch"]["cursor"] for line in lines(file) if "batch" in line] == [1]
    assert gap(file)["lost"] == 0


def test_a_page_without_the_one_before_is_not_written_down(daemon, file):
    with Statehouse(daemon.url, capture=file, page_size=1) as client:
        client.transact([Write("a1", "k", {}), Write("a1", "l", {})])
        pages = client.scan_prefix("a1")
        next(pages)
        client._capture._pages.clear()
        assert len(list(pages)) == 1
    assert [op["kind"] for op in operations(file)] == ["transact", "scan"]
    assert gap(file)["lost"] == 1


def test_a_mistake_in_here_fails_no_request(daemon, file, monkeypatch, caplog):
    with Statehouse(daemon.url, capture=file) as client:
        client.write("a1", "k", {})
        monkeypatch.setattr(_history, "asked", lambda *_: 1 / 0)
        client.write("a1", "k", {})
        monkeypatch.undo()
        client.write("a1", "k", {})
    assert "ZeroDivisionError" in caplog.text
    assert len(operations(file)) == 1
    assert gap(file)["why"] == "recording stopped"


def test_clients_of_one_daemon_share_a_file(daemon, file):
    with Statehouse(daemon.url, capture=file) as one, Statehouse(daemon.url, capture=file) as two:
        one.write("a1", "k", {})
        two.write("a1", "k", {})
    with Statehouse(daemon.url, capture=file) as three:  # goes on behind the end
        three.with_options(namespace="b").write("a1", "k", {})
    assert [op["out"]["commit_ts"] for op in operations(file)] == [1, 2, 3]
    assert check(file)[0] == 0
    file.unlink()
    with Statehouse(daemon.url, capture=file) as four:
        four.write("a1", "k", {})
    assert [op["out"]["commit_ts"] for op in operations(file)] == [4]


def test_a_file_that_is_taken(daemon, file, caplog):
    with Daemon() as other, Statehouse(other.url, capture=file) as one:
        one.write("a1", "k", {})
        with Statehouse(daemon.url, capture=file) as two:
            two.write("a1", "k", {})
            two.write("a1", "k", {})
    assert "history-2.jsonl" in caplog.text
    assert len(operations(file)) == 1
    assert len(operations(file.with_name("history-2.jsonl"))) == 2


PROGRAM = """
import os, sys
from statehouse import Statehouse
client = Statehouse(sys.argv[1])
unused = Statehouse(sys.argv[1])
client.write("a1", "k", {})
if pid := os.fork() if sys.argv[2] == "fork" else 0:
    os.waitpid(pid, 0)
elif sys.argv[2] == "fork":
    unused.write("a1", "child", {})
    unused.close()
    os._exit(0)
client.write("a1", "l", {})
"""


@pytest.mark.parametrize("how", ["plain", "fork"])
def test_the_environment_asks_for_it_and_nobody_closes(daemon, file, how):
    environment = {**os.environ, "STATEHOUSE_CAPTURE_FILE": str(file)}
    subprocess.run(
        [sys.executable, "-c", PROGRAM, daemon.url, how], env=environment, check=True, timeout=50
    )
    assert len(operations(file)) == 2
    assert "end" in lines(file)[-1]
    child = file.with_name("history-2.jsonl")
    assert child.exists() == (how == "fork")
    if child.exists():
        assert [op["in"]["writes"][0]["key"] for op in operations(child)] == ["child"]
        assert check(child)[0] == 7  # of three commits it knows one


def test_an_environment_that_makes_no_sense(daemon, monkeypatch, caplog):
    monkeypatch.setenv("STATEHOUSE_CAPTURE_FILE", "/nowhere/at/all")
    with Statehouse(daemon.url) as client:
        client.write("a1", "k", {})
    assert "nothing is recorded" in caplog.text
    assert not _captures._captures.get(("/nowhere/at/all", client._endpoint.target, False))


@pytest.mark.parametrize("value", ["true", "1", "TRUE", "false", "0", "on", ""])
def test_the_daemons_setting_is_not_ours(daemon, monkeypatch, caplog, tmp_path, value):
    """STATEHOUSE_CAPTURE is a boolean of the daemon's, and no file here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATEHOUSE_CAPTURE", value)
    with Statehouse(daemon.url) as client:
        client.write("a1", "k", {"secret": 1})
    assert list(tmp_path.iterdir()) == []
    assert not caplog.records


def test_a_file_in_the_daemons_setting_is_named(daemon, monkeypatch, caplog, file):
    monkeypatch.setenv("STATEHOUSE_CAPTURE", str(file))
    with Statehouse(daemon.url) as client:
        client.write("a1", "k", {})
    assert not file.exists()
    assert "STATEHOUSE_CAPTURE_FILE" in caplog.text


class Refusal(grpc.RpcError):
    def __init__(self, code, detail=None):
        self._code = code
        self._detail = detail

    def code(self):
        return self._code

    def details(self):
        return "said so"

    def trailing_metadata(self):
        if self._detail is None:
            return ()
        status = status_pb2.Status()
        status.details.add(
            type_url="type.googleapis.com/statehouse.v1.StatehouseError",
            value=self._detail.SerializeToString(),
        )
        return (("grpc-status-details-bin", status.SerializeToString()),)


def test_outcomes_are_those_of_the_go_recorder():
    """The table of Outcome in history/record/record.go."""
    code = grpc.StatusCode
    detail = pb.StatehouseError
    for failed, outcome, name in [
        (Refusal(code.ABORTED, detail(code=pb.CONFLICT)), "fail", "CONFLICT"),
        (
            Refusal(code.UNAVAILABLE, detail(code=pb.OUTCOME_UNKNOWN, maybe_applied=True)),
            "unknown",
            "OUTCOME_UNKNOWN",
        ),
        (
            Refusal(code.UNAVAILABLE, detail(code=pb.UNAVAILABLE, maybe_applied=True)),
            "unknown",
            "UNAVAILABLE",
        ),
        (Refusal(code.UNAVAILABLE, detail(code=pb.UNAVAILABLE)), "fail", "UNAVAILABLE"),
        (Refusal(code.UNAVAILABLE), "unknown", "unavailable"),
        (Refusal(code.DEADLINE_EXCEEDED), "unknown", "deadlineexceeded"),
        (Refusal(code.CANCELLED), "unknown", "canceled"),
        (Refusal(code.OUT_OF_RANGE), "unknown", "outofrange"),
        (Refusal(code.RESOURCE_EXHAUSTED), "unknown", "resourceexhausted"),
        (Refusal(code.UNIMPLEMENTED), "fail", "unimplemented"),
        (Refusal(code.UNAUTHENTICATED), "fail", "unauthenticated"),
        (Refusal(code.PERMISSION_DENIED), "fail", "permissiondenied"),
        (Refusal(code.INVALID_ARGUMENT), "fail", "invalidargument"),
    ]:
        said, error = _history.outcome(from_rpc(failed))
        assert (said, error["code"]) == (outcome, name)
    assert _history.outcome(KeyboardInterrupt())[0] == "unknown"


def test_every_field_of_the_contract_is_written_down():
    for method in methods():
        if method.name in _history.KINDS:
            known = set(_history.FIELDS) | _history.OTHER_FIELDS
            assert set(method.request.DESCRIPTOR.fields_by_name) <= known, method.name
    others = {method.name for method in methods()} - set(_history.KINDS)
    assert others == {"Health", "Version", "GetStatus", "Replay"}  # of which Replay is not used
    question = _history.asked(
        "commit",
        pb.CommitRequest(
            txn_id="t",
            key_preconditions=[pb.KeyPrecondition(agent_id="a", key="k", expected_version=0)],
            head_preconditions=[pb.HeadPrecondition(namespace="n", agent_id="a", expected_head=7)],
        ),
    )
    assert question == {
        "txn": "t",
        "keys": [{"ns": "default", "agent": "a", "key": "k", "expected": 0}],
        "heads": [{"ns": "n", "agent": "a", "expected": 7}],
    }
    replay = pb.ReplayRequest(all_agents=True, start_ts=0, encoding=pb.VALUE_ENCODING_NONE)
    replay.end_time.seconds, replay.end_time.nanos = 2, 5
    assert _history.asked("replay", replay) == {
        "ns": "default",
        "all_agents": True,
        "from": 0,
        "no_values": True,
        "to_time": 2_000_000_005,
    }


def test_digests():
    digests = Digests(b"key")
    one = digests.value('{"b":[1,1.0,-0,1E9,null,true],"a":"<\u2028é\\u0001"}')
    assert one == digests.value(
        ' {"a" : "\\u003c\\u2028\\u00e9\\u0001", "b":[1, 1.0,-0,1E9,null,true]}'
    )
    # What Go makes of it: HMAC-SHA256 of "value", a zero and what json.Marshal writes.
    assert one == "digest:5115783a9260a19727fcc7b5519414c6:57"
    assert canonical('{"a":1.0}') != canonical('{"a":1}')
    assert digests.value('{"a":1}') != Digests(b"other").value('{"a":1}')
    assert digests.value("") == ""


def test_a_conflict_keeps_its_details_when_redacted(daemon, file):
    with Statehouse(daemon.url, capture=file, capture_redact=True) as client:
        tx = client.begin_transaction()
        tx.get_state("a1", "k")
        client.write("a1", "k", {"secret": 1})
        tx.write("a1", "k", {"secret": 2})
        with pytest.raises(ConflictError):
            tx.commit()
    error = operations(file)[-1]["error"]
    assert error["code"] == "CONFLICT"
    assert error["details"]["key"] == "k"
    assert "message" not in error
    assert "secret" not in file.read_text()
    assert check(file)[0] == 0
