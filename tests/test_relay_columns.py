"""Columns in relays' addresses are checked against the routes before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from changelane.contract.catalog import Catalog, Column, Table
from changelane.diagnostic import Diagnostic
from changelane.errors import SpecError
from changelane.generator.check import build, find_problems


def make_table(name: str, *columns: str, key: tuple[str, ...] = ("id",)) -> Table:
    listed = [Column(name=column, type="integer", atoms=("int4",)) for column in columns]
    if name == "orders":
        listed.append(Column(name="doubled", type="integer", atoms=("int4",), generated="virtual"))
    return Table.model_validate({"schema": "public", "name": name, "columns": listed, "primary_key": key})


OUTBOX = ("id", "aggregatetype", "aggregateid", "type", "payload")
CATALOG = Catalog(
    tables=(
        make_table("orders", "id", "status", "total"),
        make_table("parcels", "id", "status"),
        make_table("notes", "text", key=()),
        make_table("outbox", *OUTBOX),
        make_table("untyped", "id", "aggregatetype", "aggregateid", "payload"),
        make_table("bare", "id", "aggregatetype", "payload"),
    ),
)


def write(relay: str, *routes: str) -> str:
    listed = "".join(f"  - {{name: r{number}, queue: q, {route}}}\n" for number, route in enumerate(routes))
    return (
        "version: 1\nproject: shop\nqueues: {q: {}}\n"
        "destinations:\n  bus: {nats: {servers: ['nats://n1:4222']}}\n"
        f"routes:\n{listed}consumers:\n  q:\n    relay: {{to: bus, {relay}}}\n"
    )


def find(tmp_path: Path, text: str) -> list[Diagnostic]:
    path = tmp_path / "pipelines.yaml"
    path.write_text(text)
    problems = [problem for problem in find_problems(path, CATALOG) if problem.severity == "error"]
    if problems:
        with pytest.raises(SpecError) as caught:
            build(path, CATALOG)
        assert [problem for problem in caught.value.diagnostics if problem.severity == "error"] == problems
    else:
        build(path, CATALOG)
    return problems


ORDERS = "table: public.orders"


@pytest.mark.parametrize(
    ("subject", "routes", "said"),
    [
        ("s.{new.stauts}", [f"{ORDERS}, events: [insert]"], "public.orders has no column stauts"),
        ("s.{old.stauts}", [f"{ORDERS}, events: [delete]"], "public.orders has no column stauts"),
        (
            "s.{new.total}",
            [f"{ORDERS}, events: [insert], payload: {{columns: [id, status]}}"],
            "its payload leaves total of public.orders out",
        ),
        (
            "s.{new.total}",
            [f"{ORDERS}, events: [insert], payload: {{exclude: [total]}}"],
            "its payload leaves total of public.orders out",
        ),
        (
            "s.{new.total}",
            [f"{ORDERS}, events: [insert], payload: {{mask: {{total: redact}}}}"],
            "its payload redacts total of public.orders",
        ),
        ("s.{new.doubled}", [f"{ORDERS}, events: [insert]"], "virtual generated column"),
        ("s.{old.status}", [f"{ORDERS}, events: [insert]"], "an insert has no `old`"),
        ("s.{new.status}", [f"{ORDERS}, events: [delete]"], "a delete has no `new`"),
        ("s.{new.status}", [f"{ORDERS}, events: [truncate]"], "a truncate has no `new`"),
        ("s.{key}", [f"{ORDERS}, events: [truncate]"], "a truncate has no key"),
        ("s.{key}", ["table: public.notes, events: [insert]"], "public.notes has no primary key"),
        ("s.{old.status}", [f"{ORDERS}, events: [update], payload: {{old: none}}"], "`payload.old: none`"),
        (
            "s.{old.status}",
            [f"{ORDERS}, events: [update], payload: {{old: changed}}"],
            "only columns that changed",
        ),
        (
            "s.{new.total}",
            ["tables: [public.orders, public.parcels], events: [insert]"],
            "public.parcels has no column total",
        ),
        ("s.{new.total}", ["tables: ['public.*s'], events: [insert]"], "public.parcels has no column total"),
        (
            "s.{new.total}",
            [f"{ORDERS}, events: [insert]", "table: public.parcels, events: [insert]"],
            "route r1: public.parcels has no column total",
        ),
    ],
)  # fmt: skip
def test_a_place_that_messages_cannot_fill_is_an_error_there(
    tmp_path: Path, subject: str, routes: list[str], said: str
) -> None:
    text = write(f'subject: "{subject}"', *routes)
    problems = find(tmp_path, text)
    assert problems
    line = text.splitlines().index(f'    relay: {{to: bus, subject: "{subject}"}}') + 1
    column = text.splitlines()[line - 1].index("{", 20) + 1
    for problem in problems:
        assert (problem.span.line, problem.span.column) == (line, column)
        assert problem.span.end_column == column + len(subject) - 2
        assert problem.summary.startswith(f"{subject[2:]} has no value in messages of route r")
        assert problem.fix
    assert any(said in problem.summary for problem in problems), problems


@pytest.mark.parametrize(
    ("subject", "routes"),
    [
        ("s.{new.status}.{key}", [f"{ORDERS}, events: [insert, update]"]),
        ("s.{old.status}", [f"{ORDERS}, events: [update, delete]"]),
        ("s.{old.status}", [f"{ORDERS}, events: [delete], payload: {{old: changed}}"]),
        (
            "s.{old.status}",
            [f"{ORDERS}, events: [update], update_of: [status], payload: {{old: changed}}"],
        ),
        ("s.{new.total}", [f"{ORDERS}, events: [insert], payload: {{mask: {{total: sha256}}}}"]),
        ("s.{new.total}", [f"{ORDERS}, events: [insert], payload: {{columns: [total]}}"]),
        ("s.{new.status}", ["tables: [public.orders, public.parcels], events: [insert]"]),
        ("s.{key}", ["table: public.notes, events: [insert], key: [text]"]),
        ("s.{{x}}.{table}", ["table: public.notes, events: [insert, truncate]"]),
    ],
)
def test_columns_that_all_messages_have_are_no_problem(
    tmp_path: Path, subject: str, routes: list[str]
) -> None:
    assert find(tmp_path, write(f'subject: "{subject}"', *routes)) == []


def test_a_mistake_elsewhere_hides_no_column(tmp_path: Path) -> None:
    text = write('subject: "s.{new.stauts}"', f"{ORDERS}, events: [insert]").replace(
        "queues: {q: {}}", "queues: {q: 1}"
    )
    summaries = [problem.summary for problem in find(tmp_path, text)]
    assert len(summaries) == 2
    assert "public.orders has no column stauts" in summaries[1]


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ("table: public.orders, events: [insert]", "public.orders has no column payload"),
        ("table: public.bare, events: [insert]", "public.bare has no column aggregateid"),
        ("table: public.outbox, events: [insert], payload: {mask: {payload: redact}}", "redacts payload"),
        ("table: public.outbox, events: [update]", "captures no insert"),
    ],
)
def test_an_outbox_that_lacks_a_column_is_an_error(tmp_path: Path, route: str, said: str) -> None:
    text = write('subject: "o.{schema}", format: outbox', route)
    problems = find(tmp_path, text)
    assert any(said in problem.summary for problem in problems), problems
    for problem in problems:
        assert text.splitlines()[problem.span.line - 1][problem.span.column - 1 :].startswith("outbox}")


@pytest.mark.parametrize("table", ["outbox", "untyped"])
def test_rows_that_an_outbox_does_not_relay_need_no_address(tmp_path: Path, table: str) -> None:
    text = write(
        'subject: "o.{new.aggregatetype}", format: outbox', f"table: public.{table}, events: [insert, delete]"
    )
    assert find(tmp_path, text) == []
