"""Handlers that do nothing, of every kind."""

from __future__ import annotations

import asyncio

import psycopg

from changelane import Change


def one(change: Change) -> None: ...


def many(changes: list[Change]) -> None: ...


def one_in_transaction(change: Change, tx: psycopg.Connection) -> None: ...


def many_in_transaction(changes: list[Change], tx: psycopg.Connection) -> None: ...


async def pause(change: Change) -> None:
    await asyncio.sleep(0.01)
