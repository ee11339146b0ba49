"""What was certainly not sent is told from what may have been, and why nothing was."""

import asyncio
import logging
import os
import socket
import subprocess
import sys
import textwrap
import time

import pytest

from statehouse import ConnectionError, DeadlineExceeded, OutcomeUnknown
from statehouse.testing import Daemon
from statehouse.testing._daemon import _free_port

from adapter import connection_lost
from certificates import Certificate

#: How often each is tried: what was told wrong was told so now and then.
TIMES = 24


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("mine"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(scope="module")
def tls(certificate):
    options = {"ca_file": certificate.cert}
    with Daemon(flags=certificate.flags, client_options=options) as daemon:
        yield daemon


@pytest.fixture
def places(statehouse_daemon, tls, certificate, stranger, listener):
    """Where no connection is to be had: how a client is told to reach it, what is said of it,
    and whether waiting would help.
    """
    answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"
    return {
        "nobody listens": ({"url": f"127.0.0.1:{_free_port()}"}, "connection refused", True),
        "nobody listens, by name": (
            {"url": f"localhost:{_free_port()}"},
            "connection refused",
            True,
        ),
        "unknown host": (
            {"url": "no-such-host.invalid"},
            "unknown host 'no-such-host.invalid'",
            False,
        ),
        "wrong authority": (
            {"url": tls.url, "ca_file": stranger.cert},
            "certificate verify failed",
            False,
        ),
        "the system's authorities": (
            {"url": f"https://{tls.url}"},
            "certificate verify failed",
            False,
        ),
        "TLS of the client alone": (
            {"url": statehouse_daemon.url, "ca_file": certificate.cert},
            "does not speak TLS, and this client does: wrong version number",
            False,
        ),
        "TLS of the daemon alone": (
            {"url": tls.url},
            "wants TLS, and this client speaks plain text",
            False,
        ),
        "who hangs up": ({"url": listener(socket.socket.close)}, "cannot be reached", True),
        "who says nothing": ({"url": listener(lambda _: None)}, "no connection to", True),
        "who speaks HTTP/1": (
            {"url": listener(lambda c: c.sendall(answer))},
            "cannot be reached",
            True,
        ),
    }


PLACES = [
    "nobody listens",
    "nobody listens, by name",
    "unknown host",
    "wrong authority",
    "the system's authorities",
    "TLS of the client alone",
    "TLS of the daemon alone",
    "who hangs up",
    "who says nothing",
    "who speaks HTTP/1",
]


@pytest.mark.parametrize("fail_fast", [True, False])
@pytest.mark.parametrize("place", PLACES)
async def test_a_commit_that_was_not_sent_is_not_unknown(dial, places, place, fail_fast):
    options, says, waiting_helps = places[place]
    silent = place == "who says nothing"  # nobody can know that at once
    at_once = (fail_fast or not waiting_helps) and not silent

    async def once():
        client = dial(**options, timeout=20 if at_once else 0.3, fail_fast=fail_fast)
        began = time.monotonic()
        with pytest.raises(ConnectionError, match=says) as caught:
            await client.write("a1", "k", {})
        assert time.monotonic() - began < (15 if at_once else 5)
        assert not caught.value._sent
        assert isinstance(caught.value, DeadlineExceeded) is not at_once
        assert "\n" not in str(caught.value)

    await asyncio.gather(*(once() for _ in range(TIMES)))


async def test_every_kind_of_call_is_told_the_cause(dial, places):
    for place in ("wrong authority", "TLS of the daemon alone", "unknown host"):
        options, says, _ = places[place]
        for call in (
            lambda client: client.health(),
            lambda client: client.get_state("a1", "k"),
            lambda client: client.list_keys("a1"),
            lambda client: client.begin_transaction(),
            lambda client: client.replay().__anext__(),
            lambda client: client.watch().__anext__(),
        ):
            with pytest.raises(ConnectionError, match=says):
                await call(dial(**options))


async def test_names_of_other_hosts_and_old_certificates(dial, tmp_path_factory):
    for made, url in (
        (Certificate(tmp_path_factory.mktemp("other"), host="other.example"), "localhost:{}"),
        (Certificate(tmp_path_factory.mktemp("old"), days=-1), "127.0.0.1:{}"),
    ):
        port = _free_port()
        daemon = Daemon(flags=made.flags, client_options={"ca_file": made.cert})
        daemon.port = port
        daemon._launch()
        try:
            while "serving" not in daemon.log() and daemon.running:
                time.sleep(0.01)
            client = dial(url.format(port), ca_file=made.cert)
            with pytest.raises(ConnectionError, match="certificate verify failed"):
                await client.write("a1", "k", {})
        finally:
            daemon.stop()


@pytest.mark.parametrize("then", ["refuses", "is silent"])
async def test_a_lost_answer_stays_unknown_when_the_daemon_is_gone_after_it(dial, proxy, then):
    for n in range(TIMES // 4):
        client = dial(proxy.url, namespace=f"gone-{then[:2]}-{n}", timeout=0.3)
        await client.with_options(timeout=30).health()
        proxy.lose("reply")
        writing = client.write("a1", "k", {})
        proxy.after_loss = proxy.down if then == "refuses" else proxy.silence
        with pytest.raises(OutcomeUnknown):
            await writing
        proxy.after_loss = None
        proxy.mute = False
        if then == "refuses":
            proxy.up()
        await client.close()


@pytest.mark.parametrize("then", ["refuses", "is silent"])
async def test_a_connection_that_was_lost_before_is_none(dial, proxy, then):
    """The daemon was there, and is not when the commit is made."""
    for _ in range(TIMES // 4):
        client = dial(proxy.url, namespace="was-there", timeout=0.3)
        await client.with_options(timeout=30).health()
        if then == "refuses":
            proxy.down()
        else:
            proxy.silence()
        await connection_lost(client)
        with pytest.raises(ConnectionError) as caught:
            await client.write("a1", "k", {})
        assert not caught.value._sent
        proxy.mute = False
        if then == "refuses":
            proxy.up()
        await client.close()


@pytest.mark.parametrize("verbosity", [None, "INFO"])
def test_grpc_adds_no_lines_of_its_own(tls, stranger, verbosity):
    """Unless it is asked to."""
    program = f"""
        import os, time
        from statehouse import ConnectionError, Statehouse

        assert os.environ.get("GRPC_VERBOSITY") == {verbosity!r}
        client = Statehouse({tls.url!r}, ca_file={str(stranger.cert)!r})
        try:
            client.get_state("a1", "k")
        except ConnectionError as error:
            print(error)
        time.sleep(0.3)
    """
    environment = {k: v for k, v in os.environ.items() if k != "GRPC_VERBOSITY"}
    if verbosity:
        environment["GRPC_VERBOSITY"] = verbosity
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.count("\n") == 1
    assert "certificate verify failed" in run.stdout
    assert ("Handshake failed" in run.stderr) is bool(verbosity)
    assert verbosity or run.stderr == ""


def test_nothing_is_printed_where_nobody_logs():
    program = f"""
        from statehouse import ConnectionError, Statehouse

        try:
            Statehouse("127.0.0.1:{_free_port()}", timeout=0.1).get_state("a1", "k")
        except ConnectionError as error:
            print(error)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "connection refused" in run.stdout
    assert run.stderr == ""


async def test_what_is_repeated_and_given_up_is_logged(dial, caplog):
    client = dial(f"127.0.0.1:{_free_port()}", timeout=0.2)
    with caplog.at_level(logging.DEBUG, "statehouse"), pytest.raises(ConnectionError):
        await client.write("a1", "k", {})
    *again, last = [r for r in caplog.records if r.name == "statehouse"]
    assert again
    assert {r.levelname for r in again} == {"DEBUG"}
    assert "Transact: try 1 failed, again in" in again[0].getMessage()
    assert last.levelname == "WARNING"
    assert "gave up after" in last.getMessage()
    assert "connection refused" in last.getMessage()
