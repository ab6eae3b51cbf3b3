"""Handlers of the demo's orders: each writes in the transaction that acknowledges its message."""

from __future__ import annotations

from typing import Any

import psycopg

from changelane import Change, DeadLetter


def send_receipt(change: Change, tx: psycopg.Connection[Any]) -> None:
    """One receipt an order: paid again after a correction, it keeps the first."""
    if change.new is None:
        raise DeadLetter("a paid order without its row")
    tx.execute(
        "INSERT INTO shop.receipts (order_id, total) VALUES (%s, %s) ON CONFLICT (order_id) DO NOTHING",
        (change.new["id"], change.new["total"]),
    )


def count_sales(change: Change, tx: psycopg.Connection[Any]) -> None:
    """Add what the change added to a product's sales, and take what it took."""
    for row, sign in ((change.old, -1), (change.new, 1)):
        if row is not None:
            tx.execute(
                "INSERT INTO shop.sales AS s (product, quantity, revenue) VALUES (%s, %s, %s)"
                " ON CONFLICT (product) DO UPDATE"
                " SET quantity = s.quantity + excluded.quantity, revenue = s.revenue + excluded.revenue",
                (row["product"], sign * row["quantity"], sign * row["quantity"] * row["price"]),
            )
