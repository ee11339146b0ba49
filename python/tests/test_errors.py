"""The tree of errors."""

import builtins
import copy
import inspect
import pickle
import re
from pathlib import Path

import grpc
import pytest

from statehouse import errors
from statehouse._proto import statehouse_pb2 as pb
from statehouse._status import from_detail, from_rpc

KINDS = [kind for kind in vars(errors).values() if inspect.isclass(kind)]


def test_one_tree():
    assert set(errors.__all__) == {kind.__name__ for kind in KINDS}
    for kind in KINDS:
        assert issubclass(kind, errors.StatehouseError)
        assert kind.__doc__
    assert issubclass(errors.ConnectionError, builtins.ConnectionError)
    assert issubclass(errors.DeadlineExceeded, builtins.TimeoutError)
    assert not issubclass(errors.OutcomeUnknown, errors.TransactionError)


def test_every_code_of_the_contract_has_its_error():
    without = {"UNKNOWN", "INTERNAL_ERROR", "STORAGE_ERROR", "NOT_REPRESENTABLE"}
    assert set(errors.BY_CODE) | without == set(pb.ErrorCode.keys())
    for code, number in pb.ErrorCode.items():
        detail = pb.StatehouseError(code=number, message="why", details={"key": "k"})
        error = from_detail(detail, "")
        assert type(error) is errors.BY_CODE.get(code, errors.InternalError)
        assert (error.code, error.details, error.message) == (code, {"key": "k"}, "why")
        assert error.answered
        assert str(error).startswith("why")
    for exact, want in ((pb.NOT_LEADER, "NOT_LEADER"), (99, "UNAVAILABLE")):
        elsewhere = from_detail(pb.StatehouseError(code=pb.UNAVAILABLE, exact_code=exact), "")
        assert type(elsewhere) is errors.ConnectionError, exact
        assert elsewhere.code == want
    unheard_of = from_detail(pb.StatehouseError(code=99), "fallback")
    assert type(unheard_of) is errors.InternalError
    assert (unheard_of.code, unheard_of.message) == ("CODE_99", "fallback")
    maybe = from_detail(pb.StatehouseError(code=pb.STORAGE_ERROR, maybe_applied=True), "")
    assert type(maybe) is errors.OutcomeUnknown


TYPESCRIPT = Path(__file__).resolve().parents[2] / "typescript" / "src" / "errors.ts"


@pytest.mark.skipif(not TYPESCRIPT.is_file(), reason="the TypeScript package is not here")
def test_the_errors_of_typescript_are_these():
    """Each has the place in the tree, the code and the row of the table that it has here."""
    text = TYPESCRIPT.read_text()
    classes = re.split(r"^export class ", text, flags=re.M)[1:]
    theirs = {}
    for found in classes:
        name, parent = re.match(r"(\w+)(?: extends (\w+))?", found).groups()
        code = re.search(r'static (?:override )?code = "(\w+)"', found)
        theirs[name] = (parent, code and code[1], bool(re.search(r"override advice =", found)))
    ours = {
        kind.__name__: (
            "Error" if kind is errors.StatehouseError else kind.__mro__[1].__name__,
            vars(kind).get("own_code"),
            "advice" in vars(kind) and kind is not errors.StatehouseError,
        )
        for kind in KINDS
    }
    assert theirs == ours
    table = text.partition("BY_CODE")[2].partition("]);")[0]
    listed = re.findall(r"^    (\w+),$", table, flags=re.M)
    alone = dict(re.findall(r'\["(\w+)", (\w+)\]', table))
    by_code = {getattr(errors, name).own_code: name for name in listed} | alone
    assert by_code == {code: kind.__name__ for code, kind in errors.BY_CODE.items()}


class Failed(grpc.RpcError):
    def __init__(self, code, message=""):
        self.code = lambda: code
        self.details = lambda: message
        self.trailing_metadata = lambda: ()


C = grpc.StatusCode


@pytest.mark.parametrize(
    ("code", "kind", "answered"),
    [
        (C.RESOURCE_EXHAUSTED, errors.ResourceExhausted, True),
        (C.UNAUTHENTICATED, errors.Unauthenticated, True),
        (C.PERMISSION_DENIED, errors.PermissionDenied, True),
        (C.INVALID_ARGUMENT, errors.InvalidArgument, True),
        (C.UNIMPLEMENTED, errors.Unimplemented, True),
        (C.UNAVAILABLE, errors.ConnectionError, False),
        (C.UNKNOWN, errors.ConnectionError, False),
        (C.INTERNAL, errors.ConnectionError, False),
        (C.CANCELLED, errors.ConnectionError, False),
        (C.DEADLINE_EXCEEDED, errors.DeadlineExceeded, False),
    ],
)
def test_statuses_without_a_detail(code, kind, answered):
    error = from_rpc(Failed(code))
    assert type(error) is kind
    assert error.answered is answered
    assert error._sent  # to be on the safe side
    assert str(error)


def test_only_a_connection_that_never_was_is_not_sent():
    for message, sent in (
        ("failed to connect to all addresses; last error: UNKNOWN: refused", False),
        ("DNS resolution failed for nowhere:1", False),
        ("Socket closed", True),
        ("", True),
    ):
        assert from_rpc(Failed(C.UNAVAILABLE, message))._sent is sent
    assert from_rpc(Failed(C.DEADLINE_EXCEEDED, "failed to connect to all addresses"))._sent


@pytest.mark.parametrize("kind", KINDS)
def test_errors_cross_processes(kind):
    error = kind("why", code="CODE", details={"key": "k", "current_version": "3"}, answered=True)
    error.maybe_applied = True
    if kind is errors.OutcomeUnknown:
        error.txn_id = "mine"
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is kind
        assert str(other) == str(error)
        assert vars(other) == vars(error)


def test_messages_say_what_to_do():
    silent = {
        errors.StatehouseError,
        errors.InvalidArgument,  # the message says what is wrong
        errors.ResourceExhausted,  # and which limit
        errors.UsageError,
        errors.NotFoundError,
        errors.Erased,  # nothing brings it back
        errors.InternalError,
        errors.TransactionError,
        errors.EvaluationFailed,  # what is there, and what was asked
        errors.TransactionCommitted,
    }
    for kind in KINDS:
        assert bool(kind.advice) is (kind not in silent), kind
        if kind.advice:
            assert str(kind("why")) == f"why. {kind.advice}"
