"""Programs written for the original client of Statehouse run on this one, as far as its
tutorials go: its names, its lists, and a word when both are installed.
"""

import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest

import statehouse
from statehouse import Statehouse, Transaction, UsageError

PACKAGE = Path(statehouse.__file__).parent


def test_a_session_as_its_tutorials_have_it(statehouse_daemon):
    client = Statehouse(url=statehouse_daemon.url)
    tx = client.begin_transaction(timeout_ms=5000)
    assert isinstance(tx, Transaction)
    assert tx.timeout == 5
    tx.write(agent_id="tutorial", key="session:1:question", value={"text": "Why?"})
    tx.write(agent_id="tutorial", key="session:1:answer", value={"text": "Because"})
    tx.write(agent_id="tutorial", key="memory", value={"fact": "Paris"})
    tx.commit()
    with client.begin_transaction() as tx:
        tx.delete(agent_id="tutorial", key="session:1:answer")

    result = client.get_state(agent_id="tutorial", key="memory")
    assert result.exists
    assert (result.value, result.version) == ({"fact": "Paris"}, 1)
    assert client.get_state(agent_id="tutorial", key="nothing") is None

    keys = client.list_keys(agent_id="tutorial")
    assert keys == ["memory", "session:1:question"]

    entries = client.scan_prefix(agent_id="tutorial", prefix="session:1:")
    assert len(entries) == 1
    assert entries[0].key == "session:1:question"
    assert [entry.value["text"] for entry in entries] == ["Why?"]
    assert not client.scan_prefix(agent_id="tutorial", prefix="none")

    events = client.replay(agent_id="tutorial")
    assert len(events) == 2
    assert [len(event.operations) for event in events] == [3, 1]
    assert events[-1].operations[0].deleted
    assert [event.commit_ts for event in events[:1]] == [events[0].commit_ts]
    for _ in range(2):  # as often as one likes
        assert [operation.key for operation in next(iter(events)).operations][-1] == "memory"
    client.close()


@pytest.mark.parametrize("make", [list, tuple, sorted, lambda items: [*items]])
def test_what_stands_for_a_list_is_an_iterator(statehouse_client, make):
    for n in range(5):
        statehouse_client.write("a1", f"k{n}", {})
    keys = [f"k{n}" for n in range(5)]
    assert list(make(statehouse_client.scan_keys("a1"))) == keys
    half_way = statehouse_client.scan_keys("a1")
    assert next(half_way) == "k0"
    assert list(make(half_way)) == keys[1:]
    for use in (len, lambda items: items[0], lambda items: items == []):
        some = statehouse_client.scan_keys("a1")
        next(some)
        with pytest.raises(UsageError, match="make a list"):
            use(some)
        assert some
    assert statehouse_client.scan_keys("a1") == keys
    kept = statehouse_client.scan_keys("a1")
    assert repr(kept) == "<scan_keys('a1'): 0 handed out>"
    assert len(kept) == 5
    assert repr(kept) == "<scan_keys('a1'): 5 kept>"
    assert next(kept) == "k0"
    assert next(kept) == "k1"
    with pytest.raises(TypeError):
        len(statehouse_client.watch(after=0))


def test_timeouts_in_milliseconds():
    client = Statehouse("localhost:1", fail_fast=True)
    for options in ({"timeout": 1, "timeout_ms": 1000}, {"timeout_ms": 0}, {"timeout_ms": 1.5}):
        with pytest.raises(UsageError, match="timeout_ms"):
            client.begin_transaction(**options)
        with pytest.raises(UsageError, match="timeout_ms"):
            client.run_transaction(lambda tx: None, **options)


async def test_timeouts_in_milliseconds_are_taken(client):
    async with client.begin_transaction(timeout_ms=1234) as tx:
        assert tx.timeout == 1.234
    timeouts = []

    async def work(tx):
        timeouts.append(tx.timeout)

    await client.run_transaction(work, timeout_ms=2345)
    assert timeouts == [2.345]


def imported(*entries):
    """What Python warns of when it imports statehouse with more entries on its path."""
    program = """
        import sys, warnings
        sys.path[:0] = sys.argv[1:-1]
        sys.path.append(sys.argv[-1])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            import statehouse
        print([str(w.message) for w in caught if w.category is RuntimeWarning])
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, entries)],
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout


@pytest.fixture
def site(tmp_path):
    """A folder that packages are installed in, ours among them."""
    (tmp_path / "statehouse").symlink_to(PACKAGE)
    ours = tmp_path / "statehouse_sdk-9.9.dist-info"
    ours.mkdir()
    (ours / "RECORD").write_text("statehouse/__init__.py,,\n")
    return tmp_path


def test_alone(site, tmp_path_factory):
    assert imported(site, tmp_path_factory.mktemp("none")) == "[]\n"
    other = site / "statehouse_tools-1.0.dist-info"  # of a similar name, and nothing to it
    other.mkdir()
    (other / "RECORD").write_text("statehouse_tools/__init__.py,,\n")
    assert imported(site, tmp_path_factory.mktemp("none")) == "[]\n"


@pytest.mark.parametrize(
    ("info", "file", "text"),
    [
        ("statehouse-0.1.0.dist-info", "RECORD", "statehouse/__init__.py,sha256=x,1\n"),
        ("statehouse_client-0.1.0.dist-info", "RECORD", "statehouse/client.py,sha256=x,1\n"),
        ("state_house-2.dist-info", "top_level.txt", "statehouse\n"),
        ("statehouse-0.1.0.egg-info", "top_level.txt", "statehouse\n"),
    ],
)
def test_another_distribution_of_the_same_package(site, tmp_path_factory, info, file, text):
    (site / info).mkdir()
    (site / info / file).write_text(text)
    said = imported(site, tmp_path_factory.mktemp("none"))
    assert f"statehouse is also installed by {info.rpartition('.')[0]}" in said
    assert "Uninstall both" in said


def test_another_package_of_the_same_name(site, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "statehouse"
    other.mkdir()
    (other / "__init__.py").write_text("")
    assert f"also installed by {other}" in imported(site, other.parent)
    (other / "_others.py").write_text("")  # another copy of ours, as a checkout beside it is
    assert imported(site, other.parent) == "[]\n"


def test_nothing_is_said_here():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        statehouse._others.warn_of_others()
