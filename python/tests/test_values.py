"""Values come back as they went in, or are refused with words that help."""

import dataclasses
import datetime
import enum
import math
import sys

import pytest

from statehouse import InternalError, InvalidArgument, ResourceExhausted
from statehouse._values import from_json, to_json

EXACT = [
    {},
    {"": None},
    {"n": 2**53 + 1, "big": 2**64, "huge": 10**300, "least": -(2**63)},
    {"f": [0.1 + 0.2, 1e308, 5e-324, -0.0, 1.0, 1e16, math.pi]},
    {"b": [True, False, None], "e": [[], {}, [[]], {"a": {}}]},
    {"largest": 2**1024 - 2**970 - 1, "least": 2**970 - 2**1024 + 1, "text": "9" * 400},
    {"s": "naïve 日本語 🏛️ \U0010ffff", "🔑": "Ключ"},
    {"c": "".join(map(chr, range(0x20))) + '"\\/\x7f\u2028\u2029'},
    {"\x00\x1f": "control characters in a key"},
    {"messages": [{"role": "user", "content": "hi"}, {"role": "tool", "n": [1, [2, [3]]]}]},
]


@pytest.mark.parametrize("value", EXACT, ids=range(len(EXACT)))
async def test_exact(client, value):
    await client.write("a1", "k", value)
    got = (await client.get_state("a1", "k")).value
    assert got == value
    assert repr(got) == repr(value)  # 1.0 is not 1, True is not 1, -0.0 is not 0.0


def nested(depth):
    value = {}
    for _ in range(depth - 1):
        value = {"in": value}
    return value


async def test_nesting(client):
    await client.write("a1", "deep", nested(28))
    assert (await client.get_state("a1", "deep")).value == nested(28)
    with pytest.raises(InvalidArgument, match="nested more than 28 deep"):
        await client.write("a1", "deeper", nested(29))
    for refused in (nested(sys.getrecursionlimit() + 10), nested(200_000)):
        with pytest.raises(InvalidArgument, match="nested (too|more than 28) deep"):
            await client.write("a1", "deepest", refused)


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Fact:
    text: str


circle: dict = {}
circle["self"] = [circle]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"x": [1, {"y": math.nan}]}, r'value\["x"\]\[1\]\["y"\] is nan.*use None'),
        ({"x": math.inf}, r'value\["x"\] is inf'),
        ({"x": datetime.datetime(2026, 2, 7)}, r'value\["x"\] is a datetime.*isoformat'),
        (
            {"x": b"bytes"},
            r"a bytes, which is not JSON: decode it, .* base64 text, or as a record of its own",
        ),
        ({"x": {1, 2}}, "a set, which is not JSON: use a list"),
        ({"x": Fact("f")}, r"a Fact, .*dataclasses.asdict"),
        ({"x": Colour.RED}, "a Colour, which is not JSON: use"),
        ({"x": object()}, "an object, which is not JSON"),
        ({"x": 2**1024 - 2**970}, r'value\["x"\] is an integer beyond 1.8e308'),
        ({"x": [1, -(10**400)]}, r'value\["x"\]\[1\] is an integer beyond .*: write it as a str'),
        ({"x": 10**5000}, "an integer beyond 1.8e308"),  # which Python will not write out
        ({"x": {1: "one"}}, r"""value\["x"\] has the key 1, an int, .* use '1'"""),
        ({None: 1}, "has the key None"),
        ({True: 1}, "has the key True"),
        ({("a", "b"): 1}, "has the key"),
        ({"x": ["\ud800"]}, r'value\["x"\]\[0\] is text with half a surrogate'),
        ({"\udfff": 1}, "a key of value is text with half a surrogate"),
        (circle, "contains itself"),
        ([1], "a value is a dict, or bytes, not a list: put it under a key"),
        ("text", "a value is a dict, or bytes, not a str"),
        (None, "a value is a dict, or bytes, not a NoneType"),
    ],
)
async def test_refused(client, value, says):
    with pytest.raises(InvalidArgument, match=says) as caught:
        await client.write("a1", "k", value)
    assert caught.value.code == "INVALID_REQUEST"
    assert caught.value.details["field"] == "value"
    assert isinstance(caught.value, ValueError)
    async with client.begin_transaction() as tx:
        with pytest.raises(InvalidArgument):
            await tx.write("a1", "k", value)


async def test_numbers_that_no_float_can_hold_are_refused_by_the_daemon(client):
    with pytest.raises(InvalidArgument, match="number"):
        await client.write("a1", "k", {"n": 10**400})
    with pytest.raises(InvalidArgument):
        await client.write("a1", "k", {"n": 10**5000})


async def test_what_is_shared_is_not_circular_and_tuples_are_lists(client):
    shared = {"a": [1]}
    await client.write("a1", "k", {"x": shared, "y": [shared, shared], "t": (1, (2,))})
    got = (await client.get_state("a1", "k")).value
    assert got == {"x": shared, "y": [shared, shared], "t": [1, [2]]}


async def test_subclasses_are_written_as_what_they_are(client):
    class Text(str):
        __slots__ = ()

    class Number(enum.IntEnum):
        ONE = 1

    await client.write("a1", "k", {Text("key"): Text("text"), "n": Number.ONE})
    got = (await client.get_state("a1", "k")).value
    assert got == {"key": "text", "n": 1}
    assert type(got["n"]) is int


async def test_size_limits(client):
    limit = 1 << 20
    room = limit - len(to_json({"s": ""}))
    await client.write("a1", "full", {"s": "x" * room})
    assert len((await client.get_state("a1", "full")).value["s"]) == room
    with pytest.raises(InvalidArgument, match=str(limit)) as caught:
        await client.write("a1", "more", {"s": "x" * (room + 1)})
    assert caught.value.details["field"] == "value"
    with pytest.raises(InvalidArgument, match="agent_id is 257 bytes long"):
        await client.write("x" * 257, "k", {})
    with pytest.raises(ResourceExhausted) as caught:
        async with client.begin_transaction() as tx:
            for n in range(5):
                await tx.write("a1", f"k{n}", {"s": "x" * 900_000})
    assert caught.value.code == "LIMIT_EXCEEDED"
    with pytest.raises(ResourceExhausted):  # by gRPC: the message is too large
        await client.write("a1", "k", {"s": "x" * (5 << 20)})


@pytest.mark.parametrize("text", [b"[1]", b"{", b"\xff{}", b""])
def test_a_broken_answer_is_an_error(text):
    with pytest.raises(InternalError, match="breaks the contract"):
        from_json(text)


@pytest.mark.parametrize(
    ("agent_id", "key", "says"),
    [
        ("", "k", "agent_id is empty"),
        ("a1", "", "key is empty"),
        ("a1", "a\nb", r"control character U\+000A"),
        ("a1", "a\x00b", r"control character U\+0000"),
        (7, "k", "agent_id must be a str, not int: 7"),
        ("a1", None, "key must be a str, not NoneType"),
        ("a1", b"k", "key must be a str, not bytes"),
        ("a1", "\ud800", "key has half a surrogate pair"),
    ],
)
async def test_names(client, agent_id, key, says):
    for call in (
        client.get_state(agent_id, key),
        client.get_many(agent_id, [key]),
        client.write(agent_id, key, {}),
        client.delete(agent_id, key),
    ):
        with pytest.raises(InvalidArgument, match=says):
            await call


async def test_names_are_not_mixed_up(client):
    names = [("a:b", "c"), ("a", "b:c"), ("a", "../../etc/passwd"), ("-rf", "\x7f\u202e🗝")]
    for agent_id, key in names:
        await client.write(agent_id, key, {"name": [agent_id, key]})
    for agent_id, key in names:
        assert (await client.get_state(agent_id, key)).value == {"name": [agent_id, key]}


async def test_other_arguments_of_the_wrong_type(client):
    for call in (
        client.write("a1", "k", {}, expected_version="1"),
        client.write("a1", "k", {}, expected_version=True),
        client.write("a1", "k", {}, expected_version=-1),
        client.write("a1", "k", {}, namespace=3),
        client.write("a1", "k", {}, metadata={"run": 7}),
        client.write("a1", "k", {}, txn_id=7),
        client.write("a1", "k", {}, txn_id="with space"),
        client.transact([("a1", "k", {})]),
        client.transact([]),
        client.list_keys("a1", limit=-1),
        client.list_keys("a1", limit="3"),
        client.get_state_at_version("a1", "k", 1.0),
    ):
        with pytest.raises(InvalidArgument):
            await call
    assert await client.list_keys("a1") == []
