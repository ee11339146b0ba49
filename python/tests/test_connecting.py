"""Addresses, tokens, headers and TLS."""

import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from statehouse import ConnectionError, InvalidArgument, Statehouse, Unauthenticated
from statehouse._channel import _target, is_loopback
from statehouse.testing import Daemon


@pytest.mark.parametrize(
    ("url", "target", "secure"),
    [
        ("localhost:50051", "localhost:50051", False),
        ("localhost", "localhost:50051", False),
        ("http://localhost:7/", "localhost:7", False),
        ("https://db.example", "db.example:50051", True),
        ("grpcs://db.example:443", "db.example:443", True),
        ("[::1]", "[::1]:50051", False),
        ("[::1]:7", "[::1]:7", False),
        ("unix:/run/s.sock", "unix:/run/s.sock", False),
        ("unix:///run/s.sock", "unix:///run/s.sock", False),
        ("dns:///db.example:7", "dns:///db.example:7", False),
        ("...", "...:50051", False),
    ],
)
def test_addresses(url, target, secure):
    assert _target(url) == (target, secure)


@pytest.mark.parametrize("url", ["", "  ", "http://", "ftp://x", 7])
def test_what_is_no_address(url):
    with pytest.raises(InvalidArgument, match="url"):
        Statehouse(url)


@pytest.mark.parametrize(
    ("target", "loopback"),
    [
        ("localhost:1", True),
        ("127.0.0.1:1", True),
        ("127.9.9.9:1", True),
        ("[::1]:1", True),
        ("dns:///localhost:1", True),
        ("unix:/run/s.sock", True),
        ("example.com:1", False),
        ("localhost.example.com:1", False),
        ("10.0.0.1:1", False),
        ("dns:///example.com:1", False),
    ],
)
def test_loopback(target, loopback):
    assert is_loopback(target) is loopback


def test_environment(monkeypatch, statehouse_daemon):
    monkeypatch.setenv("STATEHOUSE_ADDRESS", statehouse_daemon.url)
    monkeypatch.setenv("STATEHOUSE_NAMESPACE", "from-environment")
    monkeypatch.setenv("STATEHOUSE_TOKEN", "secret")
    with Statehouse() as client:
        assert client.health() == "ok"
        assert client.namespace == "from-environment"
        assert ("authorization", "Bearer secret") in client._endpoint.headers
    assert Statehouse("[::1]:1", "mine")._endpoint.target == "[::1]:1"
    monkeypatch.setenv("STATEHOUSE_ADDRESS", "")
    monkeypatch.delenv("STATEHOUSE_NAMESPACE")
    assert repr(Statehouse()) == "Statehouse('localhost:50051', 'default')"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"url": "example.com", "token": "t"}, "in plain text: turn TLS on"),
        ({"token": "a\nb"}, "printable ASCII"),
        ({"token": ""}, "printable ASCII"),
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
    ],
)
def test_what_cannot_work_is_refused_at_once(options, says):
    with pytest.raises(InvalidArgument, match=says):
        Statehouse(**options)


def test_tokens_that_may_be_sent():
    Statehouse("example.com", token="t", tls=True)
    Statehouse("https://example.com", token="t")
    Statehouse("example.com", token="t", plaintext_token=True)
    Statehouse("example.com", metadata=[("authorization", "Bearer t")])  # as the FAQ has it


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
    """A certificate for this machine, signed by itself."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder


async def test_tls(dial, certificate):
    cert, key = certificate / "cert.pem", certificate / "key.pem"
    flags = [f"--tls-cert={cert}", f"--tls-key={key}", "--token=secret"]
    with Daemon(flags=flags, client_options={"ca_file": cert, "token": "secret"}) as daemon:
        client = dial(daemon.url, ca_file=str(cert), token="secret")
        await client.write("a1", "k", {"x": 1})
        assert (await client.get_state("a1", "k")).value == {"x": 1}
        assert [k async for k in client.scan_keys("a1")] == ["k"]
        for options in ({}, {"tls": True}):  # in plain text; an authority nobody knows
            stranger = dial(daemon.url, timeout=0.5, token="secret", **options)
            with pytest.raises(ConnectionError):
                await stranger.get_state("a1", "k")
