"""Daemons that are older than what is asked for, and streams that break in the middle of a commit:
played by hand, effect by effect.
"""

import pytest

from statehouse import F, Fork, Increment, InvalidArgument, LeasePrecondition, Statehouse, Write
from statehouse import Unimplemented as DaemonIsOlder
from statehouse._effects import Call, Items, Open, Reach, Receive
from statehouse._leases import BaseLease
from statehouse._proto import statehouse_pb2 as pb
from statehouse._steps import leases as lease_steps
from statehouse._steps.writes import commit_of_operations
from statehouse.errors import ConnectionError, EvaluationFailed


@pytest.fixture
def client():
    """A client that never talks."""
    with Statehouse("localhost:1") as client:
        yield client


def refused(field):
    return InvalidArgument("not known", details={"field": field}, answered=True)


class Played:
    """Performs effects from a list of answers, or errors, and keeps what was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.items = []

    def perform(self, effect):
        if isinstance(effect, Items):
            self.items += effect.items
            return None
        if isinstance(effect, Reach):
            return True
        if not isinstance(effect, (Call, Open, Receive)):
            return None
        if not isinstance(effect, Receive):
            request = type(effect.request)()
            request.CopyFrom(effect.request)
            self.asked.append((effect.method, request))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def run(self, steps):
        try:
            effect = next(steps)
            while True:
                try:
                    result = self.perform(effect)
                except Exception as failed:
                    effect = steps.throw(failed)
                else:
                    effect = next(steps) if isinstance(effect, Items) else steps.send(result)
        except StopIteration as end:
            return end.value


def test_values_are_asked_for_as_json_where_bytes_are_not_known(client):
    found = pb.GetStateResponse(exists=True, version=1, value_json=b'{"n":1}')
    played = Played(refused("encoding"), found, found)
    for _ in range(2):
        record = played.run(client._get_state("a1", "k", None, None, None))
        assert record.value == {"n": 1}
    encodings = [request.encoding for _, request in played.asked]
    assert encodings == [
        pb.VALUE_ENCODING_NATIVE,
        pb.VALUE_ENCODING_JSON,
        pb.VALUE_ENCODING_JSON,
    ], "it is asked once"
    with pytest.raises(InvalidArgument):
        Played(refused("key")).run(client._get_state("a1", "k", None, None, None))


class Stream:
    def cancel(self):
        pass


def test_streams_too(client):
    event = pb.ReplayEvent(commit_ts=1, operations=[pb.Operation(key="k", value_json=b"{}")])
    played = Played(
        Stream(), refused("encoding"), Stream(), pb.EventBatch(events=[event], cursor=1), None
    )
    played.run(client._replay("a1", "", None, None, None, True, None, None, False, False))
    assert [item.operations[0].value for item in played.items] == [{}]
    assert [request.encoding for _, request in played.asked] == [
        pb.VALUE_ENCODING_NATIVE,
        pb.VALUE_ENCODING_JSON,
    ]


NEW = [
    ([Increment("a1", "k", "/n")], (), "increment operations"),
    ([Fork("a1", "a2")], (), "fork operations"),
    ([Write("a1", "k", b"bytes")], (), "writes of that kind"),
    ([Write("a1", "k", {}, ttl=1)], (), "writes of that kind"),
    ([Write("a1", "k", {})], [LeasePrecondition("a1", "worker", 7)], "leases"),
]


@pytest.mark.parametrize(("operations", "preconditions", "what"), NEW)
def test_a_daemon_that_does_not_know_an_operation(client, operations, preconditions, what):
    steps = commit_of_operations(client._caller, operations, preconditions)
    played = Played(refused("value"), DaemonIsOlder("no such method", answered=True))
    with pytest.raises(DaemonIsOlder, match=f"does not know {what}.*older than this package"):
        played.run(steps)
    assert [method for method, _ in played.asked] == ["Transact", "GetAgent"]
    steps = commit_of_operations(client._caller, operations, preconditions)
    with pytest.raises(InvalidArgument, match="not known"):
        Played(refused("value"), pb.GetAgentResponse()).run(steps)


def test_what_every_daemon_knows_is_not_explained(client):
    steps = commit_of_operations(client._caller, [Write("a1", "k", {})])
    with pytest.raises(InvalidArgument, match="not known"):
        Played(refused("key")).run(steps)


def test_a_daemon_that_does_not_know_delimiters(client):
    listed = client._list_keys("a1", "", False, None, "/", None, None, None)
    with pytest.raises(DaemonIsOlder, match="does not know delimiters"):
        Played(pb.ListKeysResponse(keys=["a", "b/c"])).run(listed)


def test_a_method_that_is_not_known(client):
    found = client._find("a1", F("/n") > 1, "", "key", None, True, False, None, None, None)
    with pytest.raises(DaemonIsOlder, match="It is older than this package"):
        Played(DaemonIsOlder("method Find not implemented", answered=True)).run(found)


def part(commit_ts, key):
    return pb.ReplayEvent(commit_ts=commit_ts, operations=[pb.Operation(key=key, deleted=True)])


def test_a_stream_that_breaks_in_the_middle_of_a_commit(client):
    """A change of very many keys is several events of one commit_ts."""
    lost = ConnectionError("lost", sent=True)
    played = Played(
        Stream(),
        pb.EventBatch(events=[part(4, "a"), part(5, "b"), part(5, "c")], cursor=4),
        lost,
        Stream(),
        pb.EventBatch(events=[part(5, "b")], cursor=4),
        lost,
        Stream(),
        pb.EventBatch(events=[part(5, "b"), part(5, "c"), part(5, "d")], cursor=5),
        pb.EventBatch(events=[part(6, "e")], cursor=7),
        pb.EventBatch(events=[part(9, "f")], cursor=9),
        None,
    )
    played.run(client._replay("a1", "", None, None, 6, True, None, None, False, False))
    assert [event.operations[0].key for event in played.items] == ["a", "b", "c", "d", "e", "f"]
    requests = [request for _, request in played.asked]
    assert [request.start_ts for request in requests] == [0, 5, 5]
    assert [request.limit for request in requests] == [6, 5, 5], "what is skipped counts, too"


def test_events_out_of_order_break_the_contract(client):
    for events in ([part(5, "a"), part(4, "b")], [part(3, "a"), part(3, "b"), part(2, "c")]):
        played = Played(Stream(), pb.EventBatch(events=events, cursor=5))
        with pytest.raises(Exception, match="breaks the contract: commit"):
            played.run(client._replay("a1", "", 1, None, None, True, None, None, False, False))


class Held(BaseLease):
    class lost:  # noqa: N801
        @staticmethod
        def set():
            pass


def held(client, monkeypatch, now):
    monkeypatch.setattr(lease_steps.time, "monotonic", lambda: now[0])
    answer = pb.TransactResponse(commit_ts=1)
    answer.results.add().lease.CopyFrom(pb.Lease(agent_id="a1", name="w", token=1, ttl_ms=30_000))
    caller = client._caller
    steps = lease_steps.acquire(caller, "a1", "w", 30, 0, "me", None, None)
    info, sent = slow(now, answer).run(steps)
    return Held(info, sent)


def slow(now, *answers):
    """Plays a daemon that takes 5 seconds for an answer."""
    played = Played(*answers)
    perform = played.perform

    def later(effect):
        if isinstance(effect, Call):
            now[0] += 5
        return perform(effect)

    played.perform = later
    return played


def test_a_lease_counts_from_before_the_request(client, monkeypatch):
    now = [100.0]
    lease = held(client, monkeypatch, now)
    assert lease._left() == 25, "it took 5 of 30 seconds to hear of it"
    renewed = pb.RenewLeasesResponse(leases=[pb.LeaseRenewed()])
    slow(now, renewed).run(lease_steps.renew(client._caller, [lease]))
    assert lease._left() == 25
    assert lease.held
    now[0] += 25
    assert not lease.held


def test_what_is_refused_for_now_may_yet_be_applied(client):
    """An earlier try, of which nothing was heard, can arrive late."""
    failed = EvaluationFailed("no number", answered=True)
    played = Played(ConnectionError("lost", sent=True), failed)
    with pytest.raises(EvaluationFailed) as raised:
        played.run(commit_of_operations(client._caller, [Increment("a1", "k", "/n")]))
    assert raised.value.maybe_applied
