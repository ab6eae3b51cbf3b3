"""The engines that relays publish to: their faults, and the messages that arrived."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from confluent_kafka import Consumer, KafkaError, TopicPartition
from standardwebhooks import Webhook, WebhookVerificationError
from support.http_receiver import Answer, Receiver, Request
from support.kafka_broker import MockCluster
from support.nats_server import NatsServer
from support.rabbitmq_server import RabbitMqServer
from support.redis_server import RedisServer, find_redis
from watchdog import ENGINES

PARTITIONS = 12
LONGEST = 6.0
"""Seconds that a fault lasts, at most."""

End = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message as it stands in an engine: the id to de-duplicate by, and the change in its body."""

    id: str
    key: int
    seq: int


def read_arrival(id: str, body: bytes) -> Arrival:
    change = json.loads(body)
    assert change["id"] == id, f"header {id}, body {change['id']}"
    row = change["new"] or change["old"]
    # A deletion has the next version of its key.
    return Arrival(id, row["id"], row["seq"] + (change["op"] == "delete"))


class Engine(Protocol):
    """``name`` is that of its queue. ``once``: it stores no id twice."""

    name: str
    once: bool
    url: str

    def strike(self, choose: random.Random) -> tuple[str, End]:
        """Begin a fault; returns its name, and a function that ends it."""

    def read(self) -> Iterable[Arrival]:
        """The messages that arrived, in order for each key."""

    def close(self) -> None: ...


class Nats:
    """It keeps what it stored when it is killed, and the ids it knows."""

    name, once = "nats", True

    def __init__(self, folder: Path) -> None:
        self._server = NatsServer(folder / "nats")
        self._server.add_stream("TORTURE", "torture.>", duplicate_window=3600, discard="new")
        self.url = self._server.url

    def strike(self, choose: random.Random) -> tuple[str, End]:
        return strike_server(self._server, choose)

    def read(self) -> Iterator[Arrival]:
        for message in self._server.read("TORTURE"):
            yield read_arrival((message.headers or {})["Nats-Msg-Id"], message.data)

    def close(self) -> None:
        self._server.kill()


class Redis:
    """It writes to the disk before it replies."""

    name, once = "redis", False

    def __init__(self, folder: Path) -> None:
        self._server = RedisServer(find_redis(), folder / "redis", "--loglevel", "warning")
        self.url = self._server.url

    def strike(self, choose: random.Random) -> tuple[str, End]:
        return strike_server(self._server, choose)

    def read(self) -> Iterator[Arrival]:
        for fields in self._server.read("torture:redis"):
            yield read_arrival(fields[b"id"].decode(), fields[b"data"])

    def close(self) -> None:
        self._server.kill()


class RabbitMq:
    """It confirms what is on the disk."""

    name, once = "rabbitmq", False

    def __init__(self, folder: Path) -> None:
        # Messages of a poison are larger.
        self._server = RabbitMqServer(folder / "rabbitmq", "max_message_size = 1000000")
        self._queue = self._server.add_queue(exchange="torture")
        self.url = self._server.url
        self._starting: threading.Thread | None = None

    def strike(self, choose: random.Random) -> tuple[str, End]:
        if (self._starting and self._starting.is_alive()) or choose.random() < 0.6:
            self._server.freeze()
            return "stopped", self._server.thaw
        self._server.kill()
        return "killed", self._start

    def read(self) -> Iterator[Arrival]:
        if self._starting:
            self._starting.join()
        left = self._server.count(self._queue)
        with self._server.open() as channel:
            for _, properties, body in channel.consume(self._queue, auto_ack=True):
                yield read_arrival(properties.message_id, body)
                left -= 1
                if not left:
                    break

    def close(self) -> None:
        self._server.end()

    def _start(self) -> None:
        """It takes seconds, in which other faults strike."""
        self._starting = threading.Thread(target=self._server.start)
        self._starting.start()


class Kafka:
    """librdkafka's mock cluster. It forgets old records, so that a thread reads them as they come."""

    name, once = "kafka", False
    _topic = "torture.kafka"

    def __init__(self) -> None:
        self._cluster = MockCluster()
        self.url = self._cluster.servers
        self._cluster.create_topic(self._topic, partitions=PARTITIONS)
        self._arrivals: list[Arrival] = []
        self._next: Counter[int] = Counter()
        self._gaps: list[str] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def strike(self, choose: random.Random) -> tuple[str, End]:
        match choose.randrange(3):
            case 0:
                self._cluster.take_down()
                return "down", self._cluster.bring_up
            case 1:
                self._cluster.delay(choose.randrange(200, 4000))
                return "slow", lambda: self._cluster.delay(0)
        code = choose.choice(
            [
                KafkaError.NOT_LEADER_FOR_PARTITION,
                KafkaError.REQUEST_TIMED_OUT,
                KafkaError.NOT_ENOUGH_REPLICAS,
                KafkaError.LEADER_NOT_AVAILABLE,
            ]
        )
        self._cluster.refuse(code, times=choose.randint(1, 20))
        return "refusing", lambda: None

    def read(self) -> list[Arrival]:
        asking = Consumer({"bootstrap.servers": self.url, "group.id": "asking", "log_level": 0})
        ends = [
            asking.get_watermark_offsets(TopicPartition(self._topic, number), timeout=60)
            for number in range(PARTITIONS)
        ]
        asking.close()
        deadline = time.monotonic() + 60
        while any(self._next[number] < end[1] for number, end in enumerate(ends) if end):
            assert self._thread.is_alive(), "the reader of the topic ended"
            assert time.monotonic() < deadline, "the records cannot be read to their end"
            time.sleep(0.1)
        assert not self._gaps, f"the reader passed records over: {self._gaps}"
        return self._arrivals

    def close(self) -> None:
        self._ending.set()
        self._thread.join()
        self._cluster.close()

    def _collect(self) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self.url, "group.id": "reader", "auto.offset.reset": "earliest",
                "log_level": 0, "reconnect.backoff.max.ms": 200,
            }
        )  # fmt: skip
        consumer.assign([TopicPartition(self._topic, number, 0) for number in range(PARTITIONS)])
        while not self._ending.is_set():
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                headers = dict(cast("list[tuple[str, bytes]]", message.headers()))
                self._arrivals.append(read_arrival(headers["id"].decode(), message.value() or b""))
                number, offset = message.partition() or 0, message.offset() or 0
                if offset != self._next[number]:
                    self._gaps.append(f"{number}: {offset} after {self._next[number]}")
                self._next[number] = offset + 1
        consumer.close()


class Http:
    """A receiver that stores each verified request, and sometimes does not answer."""

    name, once = "http", False

    def __init__(self, *, secret: str, seed: int) -> None:
        self._receiver = Receiver(self._decide)
        self._receiver.open()
        self.url = self._receiver.url
        self._forged = 0
        self._webhook = Webhook(secret)
        self._random = random.Random(f"{seed} receiver")
        self._failed: set[str] = set()
        self._arrivals: list[Arrival] = []
        self._answer: Answer | None = None

    def strike(self, choose: random.Random) -> tuple[str, End]:
        match choose.randrange(3):
            case 0:
                self._receiver.close()
                return "closed", self._receiver.open
            case 1:
                self._answer = Answer(after=2 * LONGEST)
                return "silent", self._speak
        status = choose.choice([408, 429, 502, 503, 504])
        headers = {"Retry-After": "1"} if choose.random() < 0.5 else {}
        self._answer = Answer(status, headers=headers)
        return "busy", self._speak

    def read(self) -> list[Arrival]:
        assert not self._forged, f"{self._forged} requests whose signature is wrong"
        return self._arrivals

    def close(self) -> None:
        self._receiver.end()

    def _speak(self) -> None:
        self._answer = None

    def _decide(self, request: Request) -> Answer:
        # Nobody else reads them, and they would fill the memory.
        self._receiver.requests.clear()
        try:
            self._webhook.verify(request.body, request.headers)
        except WebhookVerificationError:
            self._forged += 1
            return Answer(400)
        kind = (json.loads(request.body)["new"] or {}).get("kind")
        id = request.headers["webhook-id"]
        if kind == "poison":
            return Answer(422)
        if kind == "fails" and id not in self._failed:
            self._failed.add(id)
            return Answer(500)
        if self._answer is not None and self._answer.status >= 300:
            return self._answer
        point = self._random.random()
        if point < 0.005:
            return Answer(abort=True)
        self._arrivals.append(read_arrival(id, request.body))
        # The request is stored, and the answer is late or lost.
        return self._answer or Answer(abort=point < 0.01)


def strike_server(server: NatsServer | RedisServer, choose: random.Random) -> tuple[str, End]:
    """Kill or stop one of its processes."""
    if choose.random() < 0.5:
        server.kill()
        return "killed", server.start
    server.freeze()
    return "stopped", server.thaw


@contextlib.contextmanager
def run_engines(folder: Path, *, secret: str, seed: int) -> Iterator[dict[str, Engine]]:
    """One of each, by name."""
    place = folder / ENGINES
    place.mkdir()
    # Where the watchdog looks for processes.
    with contextlib.ExitStack() as stack, contextlib.chdir(place):
        engines: dict[str, Engine] = {}
        makes: list[Callable[[], Engine]] = [
            lambda: Nats(place),
            lambda: Redis(place),
            lambda: RabbitMq(place),
            Kafka,
            lambda: Http(secret=secret, seed=seed),
        ]
        for make in makes:
            engine = make()
            stack.callback(engine.close)
            engines[engine.name] = engine
        yield engines
