"""One queue to be present: what the spec says of it, and the dead-letter queue that comes with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from changelane.contract import manifest as contract
from changelane.contract.groups import ClaimIndex, Counted, list_claim_indexes
from changelane.contract.marker import hash_model, hash_queue
from changelane.generator.render.access_sql import list_grants
from changelane.generator.spec.fair_models import Fair, Limit, parse_place
from changelane.generator.spec.loading import Document
from changelane.generator.spec.models import Consumer
from changelane.generator.spec.queue_models import Autovacuum
from changelane.generator.spec.queue_models import Queue as Declared


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlan:
    """``dead_letter`` is None for one that takes dead letters alone; ``ordered``: a consumer keeps the order
    of keys. ``autovacuum`` are storage parameters, as ``pg_class.reloptions`` has them, sorted.
    """

    name: str
    kind: Literal["logged", "unlogged", "partitioned"] = "logged"
    partition: contract.Partition | None = None
    archive: contract.Archive | None = None
    autovacuum: tuple[str, ...]
    dead_letter: str | None = None
    dead_letters: contract.DeadLetters | None = None
    ordered: bool = False
    groups: tuple[tuple[str, ...], ...] = ()
    counts: tuple[Counted, ...] = ()
    restricted: bool = False
    """Whether its spec says who may use it, so that it begins with nobody's rights but its owner's."""

    @property
    def claim_indexes(self) -> list[ClaimIndex]:
        """The indexes for turns and limits."""
        return list_claim_indexes(self.groups, self.counts)

    @property
    def retention(self) -> tuple[int, int] | None:
        """Seconds after which partitions of the queue, and of its archive, are dropped."""
        if self.partition is None:
            return None
        retain = self.partition.retain
        return retain, self.archive.keep if self.archive else retain

    def hash_spec(self, version: int) -> str:
        """The spec hash; ``version`` is that of the templates."""
        return hash_model(
            [
                "queue", version, self.name, self.kind, self.dead_letter, self.ordered, self.autovacuum,
                self.partition and self.partition.model_dump(), self.archive and self.archive.model_dump(),
                *([self.groups, self.counts] if self.groups or self.counts else []),
            ]
        )  # fmt: skip

    def hash_live(self) -> str:
        """The live hash that the catalog yields once the queue is there and set."""
        partition = (
            (self.partition.interval, *self.retention, True) if self.partition and self.retention else None
        )
        return hash_queue(kind=self.kind, autovacuum=[" ".join(self.autovacuum)], partition=partition)


def list_queues(document: Document) -> Iterator[tuple[str, QueuePlan]]:
    """Every queue, after the declared name in whose file it goes; a dead-letter queue that is declared itself
    has its own.
    """
    spec = document.spec
    restricted = {grant.queue for _, grant in list_grants(document, {})}
    for name, declared in spec.queues.items():
        consumer = spec.consumers.get(name)
        partition, archive = declared.partition, declared.archive
        yield (
            name,
            QueuePlan(
                name=name,
                kind=declared.kind,
                partition=contract.Partition(interval=partition.interval, retain=partition.retain)
                if partition
                else None,
                archive=contract.Archive(keep=archive.keep) if archive else None,
                autovacuum=_list_parameters(declared.autovacuum),
                dead_letter=spec.dead_letter(name),
                dead_letters=describe_dead_letters(declared),
                ordered=consumer is not None and consumer.keyed,
                groups=group_by(consumer.fair) if consumer and consumer.fair else (),
                counts=_list_counts(consumer) if consumer else (),
                restricted=name in restricted,
            ),
        )
        if spec.dead_letter(name) not in spec.queues:
            # Always logged: what failed for good is to be there when a person looks.
            letters = spec.dead_letter(name)
            yield (
                name,
                QueuePlan(
                    name=letters,
                    autovacuum=_list_parameters(Autovacuum()),
                    restricted=letters in restricted,
                ),
            )


def group_by(fair: Fair) -> tuple[tuple[str, ...], ...]:
    """The places of ``by``, each as its names."""
    return tuple(map(parse_place, fair.by))


def _list_counts(consumer: Consumer) -> tuple[Literal["group", "queue"], ...]:
    counted: tuple[tuple[Literal["group", "queue"], Fair | Limit | None], ...] = (
        ("group", consumer.fair),
        ("queue", consumer.limit),
    )
    return tuple(what for what, bounds in counted if bounds and bounds.concurrency)


def describe_dead_letters(queue: Declared) -> contract.DeadLetters | None:
    """The dead letters of its spec, None where the spec leaves them out."""
    declared = queue.dead_letters
    return contract.DeadLetters(keep=declared.keep, alarm=declared.alarm) if declared else None


def _list_parameters(autovacuum: Autovacuum) -> tuple[str, ...]:
    return (
        f"autovacuum_vacuum_cost_delay={autovacuum.cost_delay * 1000:g}",
        "autovacuum_vacuum_scale_factor=0",
        f"autovacuum_vacuum_threshold={autovacuum.threshold}",
    )
