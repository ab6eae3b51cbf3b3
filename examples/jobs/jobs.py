"""The handlers: one for each queue."""

from __future__ import annotations

import psycopg
from typing_extensions import TypedDict

from changelane import Message


class MailJob(TypedDict):
    to: str
    subject: str


class ReportJob(TypedDict):
    kind: str


def send_mail(message: Message[MailJob], tx: psycopg.Connection) -> None:
    """Stands for the mail service. Its row commits with the acknowledgement of the message."""
    tx.execute(
        "INSERT INTO sent_mails (recipient, subject) VALUES (%s, %s)",
        [message.body["to"], message.body["subject"]],
    )


def write_report(message: Message[ReportJob], tx: psycopg.Connection) -> None:
    """One row for each run of the schedule, by the headers that say which run it is."""
    tx.execute(
        "INSERT INTO reports (schedule, scheduled_at, kind, mails)"
        " SELECT %s, %s, %s, count(*) FROM sent_mails",
        [message.headers["schedule"], message.headers["scheduled_at"], message.body["kind"]],
    )
