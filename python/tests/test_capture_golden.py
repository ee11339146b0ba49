"""The bytes of a recorded history, for every method and all of its fields.

A change of ``testdata/history.jsonl`` is a change of the format: delete the file and run this
test to make it anew.
"""

from pathlib import Path

import pytest

from statehouse import ConflictError, __version__, _capture
from statehouse._capture import recording
from statehouse._capture.digests import Digests
from statehouse._effects import Call, Open, Receive
from statehouse._proto import methods
from statehouse._status import Told

DATA = Path(__file__).parent / "testdata"
#: Fields that hold what is recorded in another way, or not at all.
OTHERWISE = ("value", "page_token", "next_page_token", "details")


def filled(message, depth=0):
    """Sets every field to something, the same each time; of a oneof the first one counts."""
    for number, field in enumerate(message.DESCRIPTOR.fields, 1):
        oneof = field.containing_oneof
        if field.name in OTHERWISE or (oneof and message.WhichOneof(oneof.name)):
            continue
        inner = getattr(message, field.name)
        if field.message_type and field.message_type.GetOptions().map_entry:
            inner["<é>"] = f"text {number}"
        elif field.message_type:
            if depth < 4:
                filled(inner.add() if hasattr(inner, "add") else inner, depth + 1)
        elif hasattr(inner, "append"):
            inner.append(scalar(field, number))
        else:
            setattr(message, field.name, scalar(field, number))
    return message


def scalar(field, number):
    return {
        field.CPPTYPE_BOOL: True,
        field.CPPTYPE_ENUM: 1,
        field.CPPTYPE_STRING: b'{"<":[1.0,"\xc3\xa9"]}'
        if field.type == field.TYPE_BYTES
        else f"{field.name} é",
    }.get(field.cpp_type, number)


def refused(code, certainly):
    error = ConflictError("said so", details={"key": "k"})
    error._told = Told(code, certainly)
    return error


class Stream:
    def cancel(self):
        pass


def record(captured):
    """Plays a client: each method answered once, and then every way in which a call may end."""

    def one(method, request):
        def steps():
            yield Call(method.name, request, None)

        return captured.follow(steps())

    def stream(method):
        def steps():
            opened = yield Open(method.name, filled(method.request()), None)
            while (yield Receive(opened)) is not None:
                pass

        return captured.follow(steps())

    def end(steps, act):
        with pytest.raises((StopIteration, ConflictError, KeyboardInterrupt)):
            act(steps)

    for method in methods():
        if method.streaming:
            steps = stream(method)
            next(steps)
            steps.send(Stream())
            steps.send(filled(method.response()))
            end(steps, lambda steps: steps.send(None))
        else:
            steps = one(method, filled(method.request()))
            next(steps)
            end(steps, lambda steps, method=method: steps.send(filled(method.response())))
    scan = next(method for method in methods() if method.name == "ScanPrefix")
    steps = one(scan, scan.request(agent_id="a"))
    next(steps)
    end(steps, lambda steps: steps.send(scan.response(next_page_token="more")))
    for failed in (refused("CONFLICT", True), refused("unavailable", False), KeyboardInterrupt()):
        steps = one(scan, scan.request(agent_id="a", page_token="more"))
        next(steps)
        end(steps, lambda steps, failed=failed: steps.throw(failed))
    left, under_way = one(scan, scan.request()), one(scan, scan.request())
    next(left)
    next(under_way)
    left.close()
    lost = one(scan, scan.request(page_token="of nowhere"))
    next(lost)
    end(lost, lambda steps: steps.send(scan.response()))
    captured.close()


@pytest.mark.parametrize("name", ["history", "history-redacted"])
def test_bytes(tmp_path, monkeypatch, name):
    time = iter(range(1000, 10**9, 1000))
    monkeypatch.setattr(recording.time, "monotonic_ns", lambda: next(time))
    captured = _capture.Capture(str(tmp_path / "file"), redact=name != "history")
    if name != "history":
        captured._digests = Digests(b"key")
    record(captured)
    made = (tmp_path / "file").read_bytes().replace(f" {__version__}".encode(), b" VERSION")
    golden = DATA / f"{name}.jsonl"
    if not golden.exists():
        golden.write_bytes(made)
        pytest.fail(f"{golden} was missing and is made anew: read it, and keep it")
    assert made == golden.read_bytes()
