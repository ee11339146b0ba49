"""The file of a history: whole lines, whatever becomes of the disk; who writes which."""

import os
import resource
import subprocess
import sys
import threading

import pytest

from statehouse import InvalidArgument, Statehouse, Write
from statehouse._capture import Capture, sharing, words
from statehouse._capture import file as capture_file
from statehouse._proto import statehouse_pb2 as pb
from statehouse.testing import Daemon

from recorded import check, gap, lines, operations


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
    found = capture_file.Lines(str(file), {}, lambda: 99)
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
    slow, write = threading.Event(), capture_file._write_all
    monkeypatch.setattr(capture_file, "MAX_WAITING", 20_000)
    monkeypatch.setattr(capture_file, "_write_all", lambda *a: (slow.wait(10), write(*a)))
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
        begun = client.begin_transaction(held=True)
        begun.write("a1", "k", {"n": 1})
        with monkeypatch.context() as full:
            full.setattr(capture_file, "MAX_WAITING", 0)
            begun.write("a1", "l", {"n": 1})
            unseen = client.begin_transaction(held=True)
        unseen.write("a1", "m", {"n": 2})
        begun.commit()
        unseen.commit()
        list(client.replay())
    assert [op["kind"] for op in operations(file)] == ["transact", "begin", "write", "replay"]
    assert gap(file)["lost"] == 5
    code, said = check(file)
    assert code == 0, said
    assert "3 commits (2 of others)" in said


def test_a_stream_is_not_recorded_after_a_gap(file, monkeypatch):
    recording = Capture(str(file), redact=False)
    op = recording._call("watch", pb.WatchRequest(all_agents=True))
    recording._batch(op, pb.EventBatch(cursor=1))
    monkeypatch.setattr(capture_file, "MAX_WAITING", 0)
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
        monkeypatch.setattr(words, "asked", lambda *_: 1 / 0)
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
    with Statehouse(daemon.url, capture=file) as three:  # goes on after the end
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
    assert not sharing._captures.get(("/nowhere/at/all", client._endpoint.target, False))


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
