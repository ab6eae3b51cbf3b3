"""An asynchronous handler that may see a message again: it prints, and printing twice does no harm."""

from __future__ import annotations

from changelane import Change


async def greet(change: Change) -> None:
    """Say who came, changed or left."""
    row = change.new or change.old or {}
    print(f"{change.op}: {row.get('name')} <{row.get('email')}>", flush=True)
