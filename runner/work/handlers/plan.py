"""The first kind of sink: a Python handler, in threads when plain, in tasks when async."""

from __future__ import annotations

from dataclasses import dataclass

from changelane.contract.manifest import Consumer
from changelane.runner.work.handlers.signature import Handler
from changelane.runner.work.handlers.task_pool import TaskPool
from changelane.runner.work.handlers.thread_pool import ThreadPool
from changelane.runner.work.handlers.tracing import trace_handler
from changelane.runner.work.sinks.protocol import Host, Sink


@dataclass(frozen=True, slots=True)
class HandlerPlan:
    """Calls ``handler`` for the messages of ``consumer``, in as many slots as its concurrency."""

    consumer: Consumer
    handler: Handler

    @property
    def dated(self) -> bool:
        return self.handler.takes.message

    @property
    def warning(self) -> str:
        handler = self.handler
        if (
            self.consumer.claim == "take"
            and handler.transaction
            and (handler.asynchronous or not handler.batch)
        ):
            return (
                f"claim: take, but {self.consumer.handler} takes tx, and is async or gets one message at a "
                "time, so its messages are leased; give it a list of changes, or delete claim"
            )
        if self.consumer.mode != "transactional" or handler.transaction:
            return ""
        return (
            f"mode: transactional, but {self.consumer.handler} takes no connection: what it writes does not "
            "commit with the ack; give it a second parameter, tx, or set mode: at_least_once"
        )

    def open(self, host: Host) -> Sink:
        pool: ThreadPool | TaskPool
        handler = trace_handler(self.handler, queue=self.consumer.queue)
        size = self.consumer.concurrency
        if handler.asynchronous:
            pool = TaskPool(handler=handler, host=host, size=size, timeout=self.consumer.timeout)
        else:
            pool = ThreadPool(handler=handler, host=host, size=size)
        host.shares.add(pool)
        return pool
