"""OpenTelemetry spans around handlers, linked to the traces of the writers.

Nothing is imported or wrapped unless the process already uses OpenTelemetry: a handler's module or
``opentelemetry-instrument`` has set it up.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from changelane.change import Change, Outcome
from changelane.contract.envelope import TRACE
from changelane.runner.queue.delivery import Content
from changelane.runner.work.handlers.signature import Handler

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

SYSTEM = "pgmq"
NAME = "changelane"


def trace_handler(handler: Handler, *, queue: str) -> Handler:
    """The handler; each call is a span of kind consumer when the process traces.

    A span links to the ``traceparent`` header of each message. A writer's session sets that header by
    ``changelane.traceparent``. The span is the current one while the handler runs.
    """
    if "opentelemetry.trace" not in sys.modules:
        return handler
    from opentelemetry import trace

    return _wrap(handler, queue=queue, tracer=trace.get_tracer(NAME))


def _wrap(handler: Handler, *, queue: str, tracer: Tracer) -> Handler:
    function = handler.function

    def span(argument: Any) -> Any:
        return _open(tracer, queue, argument if handler.batch else [argument], batch=handler.batch)

    async def call_async(argument: Any, *rest: Any) -> Any:
        with span(argument):
            return await function(argument, *rest)

    def call(argument: Any, *rest: Any) -> Any:
        with span(argument):
            return function(argument, *rest)

    return replace(handler, function=call_async if handler.asynchronous else call)


@contextmanager
def _open(tracer: Tracer, queue: str, contents: Sequence[Content], *, batch: bool) -> Iterator[None]:
    from opentelemetry.trace import Link, SpanKind, StatusCode, get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    # Anyone can send headers, so only texts are read.
    carriers = [
        {name: value for name in TRACE if isinstance(value := content.headers.get(name), str)}
        for content in contents
    ]
    contexts = [
        get_current_span(TraceContextTextMapPropagator().extract(carrier)).get_span_context()
        for carrier in carriers
        if carrier
    ]
    attributes: dict[str, str | int] = {
        "messaging.system": SYSTEM,
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": queue,
    }
    if batch:
        attributes["messaging.batch.message_count"] = len(contents)
    else:
        (content,) = contents
        attributes["messaging.message.id"] = content.id
        attributes["changelane.attempt"] = content.attempt
        if isinstance(content, Change):
            attributes["changelane.route"] = content.route
    with tracer.start_as_current_span(
        f"process {queue}",
        kind=SpanKind.CONSUMER,
        links=[Link(context) for context in contexts if context.is_valid],
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield
        except Outcome as outcome:
            # The handler decided so; it is not an error.
            current.set_attribute("changelane.outcome", type(outcome).__name__)
            raise
        except BaseException as error:
            current.record_exception(error)
            current.set_status(StatusCode.ERROR, type(error).__name__)
            raise
