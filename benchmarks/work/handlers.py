"""Handlers that do nothing, of every kind."""

from __future__ import annotations

import asyncio

import psycopg
from typing_extensions import TypedDict

from changelane import Change, Message


def one(change: Change) -> None: ...


def many(changes: list[Change]) -> None: ...


def one_in_transaction(change: Change, tx: psycopg.Connection) -> None: ...


def many_in_transaction(changes: list[Change], tx: psycopg.Connection) -> None: ...


async def pause(change: Change) -> None:
    await asyncio.sleep(0.01)


class Body(TypedDict):
    op: str
    new: dict[str, object]


def message(message: Message) -> None: ...


def messages(messages: list[Message]) -> None: ...


def typed(message: Message[Body]) -> None: ...


def messages_in_transaction(messages: list[Message], tx: psycopg.Connection) -> None: ...
