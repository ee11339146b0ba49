"""Addresses, tokens, headers, proxies and TLS."""

import json
from pathlib import Path

import pytest

from statehouse import (
    AsyncStatehouse,
    ConnectionError,
    InvalidArgument,
    Statehouse,
    Unauthenticated,
    UsageError,
)
from statehouse._addresses import parse
from statehouse.testing import Daemon

from certificates import Certificate

ADDRESSES = Path(__file__).resolve().parents[2] / "client" / "testdata" / "addresses.json"
CASES = json.loads(ADDRESSES.read_text())


@pytest.mark.parametrize("given", ["url", "STATEHOUSE_ADDRESS"])
@pytest.mark.parametrize("case", CASES, ids=[ascii(case["address"]) for case in CASES])
def test_addresses(case, given, monkeypatch):
    """The grammar that all clients agree on."""
    address = case["address"]
    if given == "url" or "\0" in address or not address:  # of the environment none is the last

        def make():
            return Statehouse(url=address)

        given = "url"
    else:
        monkeypatch.setenv(given, address)
        make = Statehouse
    if "error" in case:
        with pytest.raises(UsageError) as caught:
            make()
        problem, _, _ = caught.value.message.partition(". Write")
        assert case["error"] in problem.removeprefix(given).lower()
        assert caught.value.details["field"] == given
        if "password" in address:
            assert address not in str(caught.value)
    else:
        endpoint = make()._endpoint
        assert endpoint.target == case["target"]
        assert endpoint.secure is case.get("tls", False)


@pytest.mark.parametrize("port", [99, 2**16 - 1])
def test_more_addresses(port):
    """Beyond the shared table."""
    assert Statehouse(f"[::1]:{port}")._endpoint.target == f"[::1]:{port}"
    for address in (
        "...",
        "a.",
        f"{'a' * 64}.example",
        "a." * 130 + "a",
        "http:/localhost",
        "http:localhost",
        "http://http://localhost",
        "[[::1]]",
        "[::1",
        "localhost:\u0661",
        "localhost:1e3",
        "localhost:54000//",
        "https://localhost:54000/ ",
        "localhost,other",
        "*",
        "%6c",
    ):
        with pytest.raises(InvalidArgument, match="is no address"):
            Statehouse(address)
    for address in (7, b"localhost", None.__class__, ["localhost"]):
        with pytest.raises(UsageError, match="url must be a str"):
            Statehouse(address)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LocalHost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("example.com", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
    ],
)
def test_loopback(host, loopback):
    assert parse("url", host).loopback is loopback


def test_environment(monkeypatch, statehouse_daemon):
    monkeypatch.setenv("STATEHOUSE_ADDRESS", statehouse_daemon.url)
    monkeypatch.setenv("STATEHOUSE_NAMESPACE", "from-environment")
    monkeypatch.setenv("STATEHOUSE_TOKEN", "secret")
    with Statehouse() as client:
        assert client.health() == "ok"
        assert client.namespace == "from-environment"
        assert ("authorization", "Bearer secret") in client._endpoint.headers
    assert Statehouse("[::1]:1", "mine")._endpoint.target == "[::1]:1"
    for name in ("STATEHOUSE_ADDRESS", "STATEHOUSE_NAMESPACE", "STATEHOUSE_TOKEN"):
        monkeypatch.setenv(name, "")  # what an unset variable of a shell becomes
    assert repr(Statehouse()) == "Statehouse('localhost:50051', 'default')"
    assert Statehouse()._endpoint.headers == ()
    for name in ("STATEHOUSE_URL", "STATEHOUSE_ADDR"):  # of older clients
        monkeypatch.setenv(name, f"localhost:{len(name)}")
        assert Statehouse()._endpoint.target == f"localhost:{len(name)}"
    monkeypatch.setenv("STATEHOUSE_ADDRESS", "localhost:7")
    assert Statehouse()._endpoint.target == "localhost:7"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"url": "example.com", "token": "t"}, "in plain text: turn TLS on"),
        ({"url": "http://example.com", "token": "t"}, "in plain text: turn TLS on"),
        ({"url": "example.com", "metadata": {"Authorization": "t"}}, "in plain text: turn TLS on"),
        ({"url": "example.com", "metadata": [("cookie", "t")]}, "in plain text: turn TLS on"),
        ({"token": "a\nb"}, r"its character 2 is '\\n'"),
        ({"token": "a b"}, "its character 2 is ' '"),
        ({"token": "schlüssel"}, r"its character 5 is '\\xfc'"),
        ({"token": "\x7f"}, r"its character 1 is '\\x7f'"),
        ({"token": "\ufeffabc"}, "byte order mark: read its file with"),
        ({"token": "ï»¿abc"}, "byte order mark"),
        ({"token": "abc\n"}, r"as what is read from a file does: .strip\(\) it"),
        ({"token": "abc\r\n"}, "as what is read from a file does"),
        ({"token": ""}, "it is empty"),
        ({"token": 7}, "token must be a str"),
        ({"token": "t", "metadata": {"authorization": "u"}}, "both say authorization"),
        ({"url": "http://localhost", "tls": True}, "tls=True asks for it: write https://"),
        ({"url": "http://localhost", "ca_file": __file__}, "ca_file asks for it: write https://"),
        ({"url": "https://localhost", "tls": False}, "tls=False turns off what https:// asks for"),
        ({"tls": False, "ca_file": __file__}, "tls=False turns off what ca_file asks for"),
        ({"tls": "yes"}, "tls must be True or False"),
        ({"plaintext_token": 1}, "plaintext_token must be True or False"),
        ({"fail_fast": "no"}, "fail_fast must be True or False"),
        ({"capture": 7}, "capture must be a path"),
        ({"ca_file": 7}, "ca_file must be a path"),
        ({"namespace": ""}, "namespace is empty"),
        ({"ca_file": "/does/not/exist"}, "ca_file cannot be read"),
        ({"ca_file": __file__}, "holds nothing in PEM form"),
        ({"cert_file": __file__}, "go together"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0"),
        ({"timeout": "1"}, "timeout must be"),
        ({"attempt_timeout": -1}, "attempt_timeout must be"),
        ({"page_size": 0}, "page_size must be 1 or more"),
        ({"namespace": 3}, "namespace must be a str"),
        ({"metadata": [("a", 3)]}, "pairs of str"),
        ({"metadata": ["ab"]}, "pairs of str"),
        ({"metadata": "ab"}, "metadata is one str"),
        ({"metadata": 7}, "metadata must be a list"),
        ({"metadata": {"a b": "c"}}, "no name of a header"),
        ({"metadata": {"grpc-timeout": "c"}}, "no name of a header"),
        ({"metadata": {"a": "ü"}}, "must be printable ASCII"),
        ({"timeout": float("inf")}, "None: no bound"),
        ({"timeout": float("nan")}, "timeout must be a number"),
        ({"timeout": 10**400}, "None: no bound"),
    ],
)
def test_what_cannot_work_is_refused_at_once(options, says):
    for kind in (Statehouse, AsyncStatehouse):
        with pytest.raises(UsageError, match=says):
            kind(**options)


def test_files_of_tls_that_cannot_work(certificate, tmp_path):
    """GRPC takes them, and never connects."""
    other = Certificate(tmp_path)
    broken = tmp_path / "broken.pem"
    ends = "-" * 5  # in one piece this file would be one, too
    broken.write_text(f"{ends}BEGIN CERTIFICATE{ends}\nxxxx\n{ends}END CERTIFICATE{ends}\n")
    for options, says in (
        ({"ca_file": broken}, "ca_file holds no certificate"),
        ({"ca_file": certificate.key}, "ca_file holds no certificate"),
        ({"cert_file": broken, "key_file": certificate.key}, "no certificate with its own key"),
        ({"cert_file": certificate.cert, "key_file": broken}, "no certificate with its own key"),
        ({"cert_file": certificate.cert, "key_file": other.key}, "no certificate with its own key"),
    ):
        with pytest.raises(UsageError, match=says):
            Statehouse("localhost", **options)
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes("# Behörden\n".encode() + certificate.cert.read_bytes())
    Statehouse("localhost", ca_file=bundle)
    Statehouse("localhost", cert_file=certificate.cert, key_file=certificate.key)


def test_tokens_that_may_be_sent():
    Statehouse("example.com", token="t", tls=True)
    Statehouse("https://example.com", token="t")
    Statehouse("example.com", token="t", plaintext_token=True)
    for metadata in ([("authorization", "Bearer t")], {"Authorization": "Bearer t"}):
        Statehouse("localhost", metadata=metadata)  # as the FAQ has it
        Statehouse("https://example.com", metadata=metadata)
        Statehouse("example.com", metadata=metadata, plaintext_token=True)


PROXIES = ["http_proxy", "https_proxy", "grpc_proxy"]


@pytest.mark.parametrize("name", [*PROXIES, "no_proxy"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_loopback_needs_no_proxy(dial, statehouse_daemon, listener, monkeypatch, name, host):
    """And none gets to see what is meant for this machine."""
    seen = []
    proxy = listener(lambda connection: seen.append(connection.recv(1000)))
    for variable in PROXIES if name == "no_proxy" else [name]:
        monkeypatch.setenv(variable, f"http://{proxy}")
    if name == "no_proxy":
        monkeypatch.setenv("no_proxy", "example.com")
    client = dial(f"{host}:{statehouse_daemon.port}", token="secret", timeout=5)
    assert await client.health() == "ok"
    assert await client.get_state("nobody", "k") is None
    assert seen == []


async def test_no_proxy_reads_a_token(dial, listener, monkeypatch):
    """Who trusts a network with a token in plain text has not said so of a proxy. What is in
    TLS, or is no secret, may go through it.
    """
    seen = []

    def refuse(connection):
        seen.append(connection.recv(1000))
        connection.close()

    proxy = listener(refuse)
    for name in PROXIES:
        monkeypatch.setenv(name, f"http://{proxy}")
    monkeypatch.delenv("no_proxy", raising=False)
    for options, used in (
        ({"token": "secret", "plaintext_token": True}, False),
        ({"metadata": {"authorization": "secret"}, "plaintext_token": True}, False),
        ({"token": "secret", "tls": True}, True),
        ({}, True),
    ):
        seen.clear()
        client = dial("db.invalid", timeout=2, fail_fast=True, **options)
        with pytest.raises(ConnectionError):
            await client.get_state("a1", "k")
        assert bool(seen) is used
        assert not any(b"secret" in request for request in seen)


async def test_token(dial):
    with Daemon(flags=["--token=secret"]) as daemon:
        for options in (
            {"token": "secret"},
            {"metadata": [("authorization", "Bearer secret")]},
            {"metadata": {"Authorization": "Bearer secret"}},
        ):
            client = dial(daemon.url, **options)
            assert await client.get_state("a1", "k") is None
            assert [e async for e in client.replay("a1")] == []
        for options in ({}, {"token": "wrong"}):
            client = dial(daemon.url, **options)
            with pytest.raises(Unauthenticated, match="STATEHOUSE_TOKEN"):
                await client.get_state("a1", "k")
            with pytest.raises(Unauthenticated):
                [e async for e in client.replay("a1")]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("tls"))


async def test_tls(dial, certificate):
    cert, flags = certificate.cert, [*certificate.flags, "--token=secret"]
    with Daemon(flags=flags, client_options={"ca_file": cert, "token": "secret"}) as daemon:
        client = dial(daemon.url, ca_file=str(cert), token="secret")
        await client.write("a1", "k", {"x": 1})
        assert (await client.get_state("a1", "k")).value == {"x": 1}
        assert [k async for k in client.scan_keys("a1")] == ["k"]
        for options in ({}, {"tls": True}):  # in plain text; an authority nobody knows
            stranger = dial(daemon.url, timeout=0.5, token="secret", **options)
            with pytest.raises(ConnectionError):
                await stranger.get_state("a1", "k")
