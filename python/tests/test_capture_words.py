"""Requests, answers, errors and values in the words of a history."""

import grpc
import pytest

from statehouse import ConflictError, Statehouse
from statehouse._capture import words
from statehouse._capture.digests import Digests, canonical
from statehouse._proto import methods, status_pb2
from statehouse._proto import statehouse_pb2 as pb
from statehouse._status import from_rpc

from recorded import check, operations


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
        said, error = words.outcome(from_rpc(failed))
        assert (said, error["code"]) == (outcome, name)
    assert words.outcome(KeyboardInterrupt())[0] == "unknown"


def test_every_field_of_the_contract_is_written_down():
    for method in methods():
        if method.name in words.KINDS:
            known = set(words.FIELDS) | words.OTHER_FIELDS
            assert set(method.request.DESCRIPTOR.fields_by_name) <= known, method.name
    others = {method.name for method in methods()} - set(words.KINDS)
    assert others == {
        "Health",
        "Version",
        "GetStatus",
        "ListRefusals",
        "ListStreams",
        "Replay",
        "Session",
    }  # Replay is not used
    question = words.asked(
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
    assert words.asked("replay", replay) == {
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
