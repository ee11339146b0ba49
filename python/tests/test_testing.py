"""What users test with."""

import os
import subprocess
import sys
import textwrap
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from statehouse import (
    ConnectionError,
    DeadlineExceeded,
    LeaseLost,
    Statehouse,
    TransactionNotFound,
    Unauthenticated,
)
from statehouse.testing import BinaryNotFound, Daemon, DaemonFailed, find_binary


def test_on_disk_survives_a_crash_and_memory_does_not(tmp_path):
    for daemon, kept in ((Daemon(tmp_path / "data"), True), (Daemon(), False)):
        with daemon:
            client = daemon.client()
            assert client.status().durable is kept
            client.write("a1", "k", {"n": 1})
            first = daemon.pid
            daemon.crash()
            assert not daemon.running
            assert daemon.pid == 0
            with pytest.raises(ConnectionError):
                client.with_options(fail_fast=True).get_state("a1", "k")
            daemon.restart()
            assert daemon.pid not in (0, first)
            found = client.with_options(timeout=4)  # gRPC 1.60 left alone would look after 5
            assert (found.get_state("a1", "k") is not None) is kept
            daemon.restart()
    assert (tmp_path / "data").exists()  # it is the caller's


def test_a_temporary_store_is_removed():
    daemon = Daemon(on_disk=True).start()
    folder = daemon.data_dir.parent
    assert folder.exists()
    daemon.stop()
    daemon.stop()
    assert not folder.exists()


def test_several_at_once():
    with Daemon() as one, Daemon() as other:
        assert one.url != other.url
        one.client().write("a1", "k", {})
        assert other.client().list_agents() == []


def test_flags_and_environment(monkeypatch):
    monkeypatch.setenv("STATEHOUSE_TOKEN", "of-the-environment")  # not for it
    monkeypatch.setenv("STATEHOUSE_TX_TIMEOUT_MS", "1")
    monkeypatch.setenv("STATEHOUSE_LISTEN_ADDR", "nonsense")
    with Daemon(flags=["--max-value-bytes=100"]) as daemon:
        monkeypatch.delenv("STATEHOUSE_TOKEN")
        client = daemon.client()
        with client.begin_transaction() as tx:
            assert tx.timeout == 30
        with pytest.raises(ValueError, match="limit of 100 bytes"):
            client.write("a1", "k", {"s": "x" * 100})


def test_what_does_not_start_says_why(tmp_path):
    (tmp_path / "file").write_text("")
    for daemon, says in (
        (Daemon(flags=["--no-such-flag"]), "no-such-flag"),
        (Daemon(tmp_path / "file"), "file"),
        (Daemon(binary="/bin/false"), "does not serve"),
    ):
        with pytest.raises(DaemonFailed, match=says):
            daemon.__enter__()
        assert not daemon.running


def test_paths_are_those_of_the_working_directory(monkeypatch, tmp_path):
    (tmp_path / "daemon").symlink_to(Path(find_binary()).resolve())
    monkeypatch.chdir(tmp_path)
    with Daemon("store", binary="./daemon") as daemon:
        daemon.client().write("a1", "k", {"n": 1})
    assert (tmp_path / "store").is_dir()
    with Daemon("store", binary="daemon") as daemon:
        assert daemon.client().get_state("a1", "k").value == {"n": 1}


def test_binary(monkeypatch, tmp_path):
    told = tmp_path / "mine"
    told.write_text("")
    monkeypatch.setenv("STATEHOUSED", str(told))
    with pytest.raises(BinaryNotFound, match="no program"):
        find_binary()
    told.chmod(0o755)
    assert find_binary() == str(told)
    monkeypatch.delenv("STATEHOUSED")
    on_path = tmp_path / "statehoused"
    on_path.write_text("")
    on_path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert find_binary() == str(on_path)
    monkeypatch.setattr("statehouse.testing._binary._repository", lambda: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BinaryNotFound, match="set STATEHOUSED"):
        find_binary()


def test_the_daemon_ends_with_its_program():
    """Also when nobody stops it."""
    run = subprocess.run(
        [sys.executable, "-c", "from statehouse.testing import *; print(Daemon().start().pid)"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int(run.stdout), 0)


def test_plugin(tmp_path):
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["statehouse.testing.plugin"]')
    (tmp_path / "test_it.py").write_text(
        textwrap.dedent("""
            def test_one(statehouse_client):
                assert statehouse_client.list_agents() == []
                statehouse_client.write("a1", "k", {})

            test_two = test_one

            def test_own(statehouse_daemon, statehouse_client, statehouse_namespace):
                statehouse_client.write("a1", "k", {"n": 1})
                mine = statehouse_daemon.client(namespace=statehouse_namespace)
                assert mine.get_state("a1", "k").value == {"n": 1}

            def test_clock(statehouse_clock):
                client = statehouse_clock.client()
                client.write("a1", "k", {}, ttl=60)
                assert client.get_state("a1", "k")
                assert statehouse_clock.advance(60).isoformat() == "2026-01-01T00:01:00+00:00"
                assert client.get_state("a1", "k") is None

            def test_crash(statehouse_on_disk):
                statehouse_on_disk.client().write("a1", "k", {})
                statehouse_on_disk.crash()
                statehouse_on_disk.restart()
                assert statehouse_on_disk.client().get_state("a1", "k")
        """)
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert "5 passed" in run.stdout, run.stdout


def test_clock():
    start = datetime(2026, 2, 7, 12, tzinfo=timezone(timedelta(hours=2)))
    with Daemon(clock=start, client_options={"token": "secret"}) as daemon:
        client = daemon.client()
        assert client.write("a1", "k", {}, ttl=60).timestamp == start
        lease = client.lease("a1", "turn", ttl=60)
        assert daemon.advance(timedelta(seconds=59.999)) == daemon.now
        assert client.get_state("a1", "k") is not None
        assert daemon.advance(0.001) == start + timedelta(minutes=1)
        assert client.get_state("a1", "k") is None
        with pytest.raises(LeaseLost):
            lease.release()
        daemon.advance(timedelta(days=400))  # ids are made by another clock
        assert client.write("a1", "k", {}).timestamp == daemon.now
        with pytest.raises(ValueError, match="does not go back"):
            daemon.advance(-1)
        with pytest.raises(Unauthenticated):
            Statehouse(daemon.url, token="wrong").status()
        log = daemon.log()
        daemon.crash()
        with pytest.raises(DaemonFailed, match="does not run"):
            daemon.advance(1)
        daemon.restart()
        assert daemon.client().list_agents() == [], log
    for wrong in ({"on_disk": True}, {"flags": ["--capture"]}, {"data_dir": "data"}):
        with pytest.raises(ValueError, match="in memory"):
            Daemon(clock=start, **wrong)
    with pytest.raises(ValueError, match="time zone"):
        Daemon(clock=datetime(2026, 1, 1))
    with Daemon() as daemon, pytest.raises(DaemonFailed, match="clock="):
        daemon.advance(1)
    with pytest.raises(DaemonFailed, match="does not serve"):
        Daemon(clock=start, binary="/bin/false").start()


async def test_pause(dial, statehouse_on_disk):
    daemon = statehouse_on_disk
    client = dial(daemon.url)
    tx = await client.begin_transaction(held=True)
    impatient = client.with_options(timeout=0.1)
    for _ in range(5):  # it stands still from the moment that pause() returns
        daemon.pause()
        daemon.pause()
        assert daemon.running
        with pytest.raises(DeadlineExceeded):
            await impatient.get_state("a1", "k")
        daemon.resume()
        assert await client.get_state("a1", "k") is None
    await tx.commit()
    daemon.restart()
    with pytest.raises(TransactionNotFound):
        await tx.write("a1", "k", {})
    daemon.crash()
    for signal in (daemon.pause, daemon.resume):
        with pytest.raises(DaemonFailed, match="does not run"):
            signal()
