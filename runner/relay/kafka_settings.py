"""What a topic's settings lose, as far as the brokers tell them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource

from changelane.contract.formats import Format
from changelane.runner.relay.engine import Finding

SHORT = 24 * 3600
"""Seconds of retention below which a reader that is away for a day misses records."""

KEYED: tuple[Format, ...] = ("debezium", "row")
"""Formats whose last record of a key is the state of its row, which is all that compaction keeps."""

SHOWN = 20
"""Topics whose settings are read, at most."""


def find_losses(
    settings: Mapping[str, Any], topics: Mapping[str, int], *, format: Format, timeout: float
) -> Iterator[Finding]:
    """What may lose records of these topics. ``settings`` are the producer's. ``topics`` have the number of
    replicas, 0 where it is not known.
    """
    for topic, copies in list(topics.items())[:SHOWN]:
        if copies == 1:
            yield Finding(
                "warning",
                f"topic {topic} has one replica: with its broker, records are lost that were confirmed",
                f"kafka-reassign-partitions.sh, to 3 replicas of {topic}",
            )
        try:
            values = _read(settings, topic, timeout=timeout)
        except KafkaException as error:
            text = error.args[0].str() if isinstance(error.args[0], KafkaError) else str(error)
            yield Finding(
                "warning",
                f"the settings of topic {topic} were not read, so retention and replicas were not "
                f"checked: {text}",
                f"kafka-acls.sh --add --operation DescribeConfigs --topic {topic}, for its user",
            )
            continue
        yield from _judge(topic, values, copies=copies, format=format)


def _judge(topic: str, values: Mapping[str, str], *, copies: int, format: Format) -> Iterator[Finding]:
    alter = f"kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config"
    if copies > 1 and values.get("min.insync.replicas") == "1":
        yield Finding(
            "warning",
            f"topic {topic} confirms with one replica in sync: with its broker, such records are lost",
            f"{alter} min.insync.replicas=2",
        )
    if values.get("unclean.leader.election.enable") == "true":
        yield Finding(
            "warning",
            f"topic {topic} lets a replica lead that lacks records that were confirmed",
            f"{alter} unclean.leader.election.enable=false",
        )
    policy = values.get("cleanup.policy", "")
    if "compact" in policy and format not in KEYED:
        yield Finding(
            "warning",
            f"topic {topic} is compacted: of each key, only the last change stays",
            f"{alter} cleanup.policy=delete",
        )
    retention = values.get("retention.ms", "")
    if policy != "compact" and retention.isdigit() and int(retention) < SHORT * 1000:
        yield Finding(
            "warning",
            f"topic {topic} drops records after {int(retention) / 1000:g} s, whether they were read or not",
            f"{alter} retention.ms=604800000",
        )


def _read(settings: Mapping[str, Any], topic: str, *, timeout: float) -> dict[str, str]:
    """The settings of a topic. Raises KafkaException."""
    names = ("bootstrap.servers", "security.protocol", "client.id", "log_level")
    own = {key: value for key, value in settings.items() if key in names or key.startswith(("sasl.", "ssl."))}
    admin = AdminClient(own)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    answer = admin.describe_configs([resource], request_timeout=timeout)[resource]
    return {entry.name: str(entry.value) for entry in answer.result(timeout + 1).values()}
