"""Every Python snippet of the FAQ, as it is printed there, in its order."""

import builtins
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

import statehouse
from statehouse import Statehouse, TransactionError
from statehouse.testing import Daemon, find_binary

FAQ = Path(__file__).resolve().parents[3] / "shared" / "faq.md"
SNIPPETS = []


def snippet(question, code):
    """Notes a snippet; what is decorated checks what became of it."""

    def note(check):
        SNIPPETS.append((question, code.strip("\n"), check))
        return check

    return note


def value(at, key):
    record = at.client.get_state(agent_id="a1", key=key)
    return record and record.value


@snippet(
    "How do I connect from Python?",
    """
from statehouse import Statehouse

client = Statehouse(url="localhost:50051")
""",
)
def _(at):
    assert at.client.health() == "ok"


@snippet(
    "Do I need to define a schema?",
    """
tx.write(agent_id="a1", key="memory", value={"fact": "Paris is in France"})
""",
)
def _(at):
    at.tx.commit()
    assert value(at, "memory") == {"fact": "Paris is in France"}


@snippet(
    "How do I handle large values?",
    """
tx.write(
    agent_id="a1",
    key="document:123",
    value={
        "title": "Large Document",
        "s3_key": "s3://bucket/doc123.pdf",
        "size_bytes": 50_000_000,
        "checksum": "sha256:abc123..."
    }
)
""",
)
def _(at):
    at.tx.commit()
    assert value(at, "document:123")["size_bytes"] == 50_000_000


@snippet(
    "What's a transaction?",
    """
with client.begin_transaction() as tx:
    tx.write(agent_id="a1", key="k1", value={"x": 1})
    tx.write(agent_id="a1", key="k2", value={"y": 2})
# Auto-commits on exit (or aborts on exception)
""",
)
def _(at):
    assert (value(at, "k1"), value(at, "k2")) == ({"x": 1}, {"y": 2})
    assert len(list(at.client.replay("a1"))) == 1


@snippet(
    "Can transactions span multiple agents?",
    """
with client.begin_transaction() as tx:
    tx.write(agent_id="agent-1", key="k", value={"x": 1})
    tx.write(agent_id="agent-2", key="k", value={"y": 2})
# Both writes commit atomically
""",
)
def _(at):
    first, second = (list(at.client.replay(agent)) for agent in ("agent-1", "agent-2"))
    assert first[0].commit_ts == second[0].commit_ts


@snippet(
    "What happens if a transaction fails?",
    """
try:
    with client.begin_transaction() as tx:
        tx.write(agent_id="a1", key="k", value={"x": 1})
except TransactionError:
    # Handle failure (retry, log, etc.)
""",
)
def _(at):
    assert value(at, "k") == {"x": 1}


@snippet(
    "How do I read state?",
    """
result = client.get_state(agent_id="a1", key="memory")
if result:
    print(result.value)  # {"fact": "..."}
""",
)
def _(at):
    assert at.printed == [{"fact": "..."}]


@snippet(
    "Can I read historical state?",
    """
# Get state at specific version
result = client.get_state_at_version(
    agent_id="a1",
    key="memory",
    version=5
)
""",
)
def _(at):
    assert (at.result.version, at.result.value) == (5, {"n": 5})


@snippet(
    "What is replay?",
    """
for event in client.replay(agent_id="a1"):
    print(f"[{event.timestamp}] {event.operations}")
""",
)
def _(at):
    assert len(at.printed) == 7
    assert re.match(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", at.printed[0])
    assert "key='memory'" in at.printed[0]


@snippet(
    "Can I filter replay?",
    """
# By time range
for event in client.replay(
    agent_id="a1",
    from_timestamp="2026-02-07T10:00:00Z",
    to_timestamp="2026-02-07T11:00:00Z"
):
    print(event)

# By namespace
for event in client.replay(
    agent_id="a1",
    namespace="production"
):
    print(event)
""",
)
def _(at):
    assert [event.operations[0].namespace for event in at.printed] == ["production"]


@snippet("What's an agent_id?", 'agent_id = "research-agent-42"')
def _(at):
    at.client.write(at.agent_id, "k", {})


@snippet(
    "What's a key?",
    """
key = "current_task"
key = "memory:facts"
key = "session:2026-02-07:question"
""",
)
def _(at):
    at.client.write("a1", at.key, {})


@snippet(
    "What's a namespace?",
    """
namespace = "production"
namespace = "staging"
namespace = "dev"
""",
)
def _(at):
    at.client.write("a1", "k", {}, namespace=at.namespace)


@snippet(
    "What's a version?",
    """
# First write
tx.write(agent_id="a1", key="k", value={"x": 1})
# k is now version 1

# Update
tx.write(agent_id="a1", key="k", value={"x": 2})
# k is now version 2
""",
)
def _(at):
    # In one transaction, as here, the last write counts, as one version (docs/CONTRACT.md).
    assert at.tx.commit().version == 1
    assert at.client.write("a1", "k", {"x": 2}).version == 2


@snippet(
    "Can I update a key?",
    """
# Initial write
tx.write(agent_id="a1", key="config", value={"mode": "fast"})

# Update
tx.write(agent_id="a1", key="config", value={"mode": "slow"})
""",
)
def _(at):
    at.tx.commit()
    assert value(at, "config") == {"mode": "slow"}


@snippet("Can I delete a key?", 'tx.delete(agent_id="a1", key="temp_data")')
def _(at):
    assert at.tx.commit().version == 1
    assert value(at, "temp_data") is None
    assert next(iter(at.client.replay("a1", "temp"))).operations[0].kind == "DELETE"


@snippet(
    "Can I list all keys for an agent?",
    """
keys = client.list_keys(agent_id="a1")
print(keys)  # ['config', 'state', 'memory', ...]
""",
)
def _(at):
    assert at.printed == [["memory", "session:2026-02-07:1"]]


@snippet(
    "Can I scan keys by prefix?",
    """
keys = client.scan_prefix(
    agent_id="a1",
    prefix="session:2026-02-07:"
)
""",
)
def _(at):
    assert [record.key for record in at.keys] == ["session:2026-02-07:1"]


@snippet(
    "How do I optimize writes?",
    """
with client.begin_transaction() as tx:
    for item in items:
        tx.write(agent_id="a1", key=item.key, value=item.value)
# One commit for all writes
""",
)
def _(at):
    assert value(at, "item:2") == {"n": 2}


@snippet(
    "How do I add authentication?",
    """
# Client
metadata = [("authorization", "Bearer YOUR_TOKEN")]
client = Statehouse(url="...", metadata=metadata)

# Server (custom)
# Verify token in gRPC interceptor
""",
)
def _(at):
    with Daemon(flags=["--token=YOUR_TOKEN"]) as daemon:
        with Statehouse(url=daemon.url, metadata=at.metadata) as client:
            assert client.list_keys("a1") == []


@snippet(
    '"Key not found" error',
    """
result = client.get_state(agent_id="a1", key="k")
if result is None:
    # Key doesn't exist
""",
)
def _(at):
    assert at.result is None


def runnable(code):
    """Two snippets end where a statement should be; Python wants one."""
    try:
        return compile(code, "faq.md", "exec")
    except IndentationError:
        indent = re.search(r"( +)#[^\n]*$", code)[1]
        return compile(f"{code}\n{indent}pass", "faq.md", "exec")


@pytest.mark.parametrize(
    ("question", "code", "check"), SNIPPETS, ids=[question for question, _, _ in SNIPPETS]
)
def test_snippet(question, code, check):
    with Daemon() as daemon:
        client = daemon.client()
        if "read" in question or "replay" in question or "keys" in question:
            for n in range(1, 6):
                client.write("a1", "memory", {"n": n})
            client.write("a1", "memory", {"fact": "..."})
            client.write("a1", "session:2026-02-07:1", {})
            client.write("a1", "memory", {}, namespace="production")
        printed = []
        names = {
            "client": client,
            "tx": client.begin_transaction(),
            "items": [SimpleNamespace(key=f"item:{n}", value={"n": n}) for n in range(3)],
            "Statehouse": Statehouse,
            "TransactionError": TransactionError,
            "print": lambda thing: printed.append(thing),
            "__builtins__": builtins,
        }
        # 50051 may be somebody else's on this machine, and "..." stands for an address.
        for url in ("localhost:50051", "..."):
            code = code.replace(f'url="{url}"', f'url="{daemon.url}"')
        exec(runnable(code), names)
        check(SimpleNamespace(**names, printed=printed))


@pytest.mark.skipif(not FAQ.exists(), reason="the FAQ is not beside this checkout")
def test_all_snippets_are_here():
    """Word for word, in the order of the FAQ."""
    indented = re.compile(r"^([ ]*)```python\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
    printed = [
        "\n".join(line[len(indent) :] for line in code.splitlines()).strip("\n")
        for indent, code in indented.findall(FAQ.read_text())
    ]
    assert printed == [code for _, code, _ in SNIPPETS]


def test_the_command_line_of_the_faq(statehouse_client, statehouse_daemon):
    statehouse_client.write("my-agent", "plan", {"step": 1}, namespace="default")
    statehousectl = find_binary("statehousectl")
    for arguments, says in (
        (["health"], "ok"),
        (["keys", "my-agent"], "plan"),
        (["replay", "my-agent"], '{"step":1}'),
    ):
        run = subprocess.run(
            [statehousectl, f"--address={statehouse_daemon.url}", *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        assert says in run.stdout


def test_names_that_the_faq_imports():
    for name in ("Statehouse", "TransactionError", "ConnectionError"):
        assert name in statehouse.__all__
