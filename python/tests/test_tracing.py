"""Spans of calls."""

import asyncio

import pytest

from statehouse import ConflictError, PreconditionFailed, Statehouse, Write
from statehouse import _tracing as tracing

otel = pytest.importorskip("opentelemetry.trace")
sdk = pytest.importorskip("opentelemetry.sdk.trace")
export = pytest.importorskip("opentelemetry.sdk.trace.export")
memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
sampling = pytest.importorskip("opentelemetry.sdk.trace.sampling")


class Traces:
    """A provider of the test's own: the process has one for good."""

    def __init__(self, monkeypatch, sampler=None):
        self._spans = memory.InMemorySpanExporter()
        provider = sdk.TracerProvider(sampler=sampler or sampling.ALWAYS_ON)
        provider.add_span_processor(export.SimpleSpanProcessor(self._spans))
        self.tracer = provider.get_tracer("test")
        monkeypatch.setattr(tracing._otel, "get_tracer", lambda *_: self.tracer)

    def take(self):
        spans = self._spans.get_finished_spans()
        self._spans.clear()
        return spans


@pytest.fixture
def traces(monkeypatch):
    return Traces(monkeypatch)


async def test_calls_are_spans_of_their_trace(client, traces):
    with traces.tracer.start_as_current_span("agent") as agent:
        await client.write("planner", "a private key", {"a": "private value"})
        await client.get_state("planner", "a private key")
        await client.delete("planner", "a private key")
    spans = {span.attributes["rpc.method"]: span for span in traces.take() if span.name != "agent"}
    assert {span.attributes.get("gen_ai.operation.name") for span in spans.values()} >= {
        "search_memory",
        "delete_memory",
    }
    read = spans["GetState"]
    assert read.context.trace_id == agent.get_span_context().trace_id
    assert read.parent.span_id == agent.get_span_context().span_id
    assert read.kind is otel.SpanKind.CLIENT
    assert read.attributes["gen_ai.agent.id"] == "planner"
    assert read.attributes["gen_ai.memory.store.id"].startswith("test-")
    assert "private" not in repr([span.attributes for span in spans.values()])


async def test_a_refusal_is_an_error_of_its_span(client, traces):
    await client.write("planner", "k", {})
    traces.take()
    with pytest.raises((PreconditionFailed, ConflictError)):
        await client.transact([Write("planner", "k", {}, expected_version=7)])
    (span,) = traces.take()
    assert span.attributes["error.type"] == "FAILED_PRECONDITION"
    assert span.status.status_code is otel.StatusCode.ERROR


async def test_what_is_not_sampled_goes_as_without(client, monkeypatch):
    traces = Traces(monkeypatch, sampling.ALWAYS_OFF)
    with traces.tracer.start_as_current_span("agent"):
        await client.write("planner", "k", {"n": 1})
        records = await asyncio.gather(*(client.get_state("planner", "k") for _ in range(4)))
    assert [record.value for record in records] == [{"n": 1}] * 4
    assert traces.take() == ()


def test_without_opentelemetry(statehouse_daemon, monkeypatch):
    monkeypatch.setattr(tracing, "_otel", None)
    with Statehouse(statehouse_daemon.url, namespace="untraced") as client:
        client.write("planner", "k", {"n": 1})
        assert client.get_state("planner", "k").value == {"n": 1}


def test_the_call_carries_its_trace(traces):
    span = traces.tracer.start_span("call")
    context = span.get_span_context()
    with tracing.Span(span) as traced:
        ((name, value),) = traced.headers
    assert name == "traceparent"
    assert value == f"00-{context.trace_id:032x}-{context.span_id:016x}-01"
