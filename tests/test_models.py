from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from changelane.contract.catalog import Catalog, Column, Table
from changelane.errors import SpecError
from changelane.generator.row_types import render_models

ROOT = Path(__file__).parent.parent
SPEC = """
version: 1
project: shop
queues: {events: {}}
routes:
"""


def column(name: str, type: str, *atoms: str, nullable: bool = False) -> Column:
    return Column(name=name, type=type, atoms=atoms or (type,), nullable=nullable)


def table(name: str, *columns: Column, schema: str = "public") -> Table:
    return Table(schema_=schema, name=name, primary_key=("id",), columns=columns)


def render(tmp_path: Path, routes: str, *tables: Table) -> str:
    path = tmp_path / "pipelines.yaml"
    path.write_text(SPEC + routes)
    return render_models(path, Catalog(tables=tables))


def load(text: str) -> dict[str, Any]:
    values: dict[str, Any] = {"__name__": "models"}
    exec(compile(text, "models.py", "exec"), values)
    return values


ID = column("id", "bigint", "int8")
ORDERS = table(
    "orders",
    ID,
    column("total", "numeric(12,2)", "numeric"),
    column("email", "character varying(20)", "varchar", nullable=True),
    column("at", "timestamp(3) with time zone", "timestamptz"),
)


def test_each_captured_table_has_a_class_with_the_columns_of_its_messages(tmp_path: Path) -> None:
    text = render(
        tmp_path,
        "- {name: a, table: public.orders, events: [insert], queue: events}",
        ORDERS,
        table("others", ID),
    )
    assert text.endswith(
        "class OrdersRow(TypedDict):\n"
        '    """A row of public.orders."""\n\n'
        "    id: int\n    total: Decimal\n    email: str | None\n    at: dt.datetime\n"
    )
    assert "Others" not in text


def test_columns_follow_the_payloads_of_all_routes(tmp_path: Path) -> None:
    text = render(
        tmp_path,
        """
- {name: a, table: public.orders, events: [insert], queue: events, payload: {columns: [id, total]}}
- {name: b, table: public.orders, events: [update], queue: events,
   payload: {exclude: [at], mask: {total: sha256, email: redact}}}
""",
        ORDERS,
    )
    hints = [line.strip() for line in text.splitlines() if line.startswith("    ") and ": " in line]
    assert hints == ["id: int", "total: Decimal | str", "email: NotRequired[str]"]


def test_types_that_json_holds_in_several_ways_are_left_open(tmp_path: Path) -> None:
    text = render(
        tmp_path,
        "- {name: a, table: public.things, events: [insert], queue: events}",
        table(
            "things",
            ID,
            column("tags", "text[]", "text"),
            column("mood", "public.mood", "enum"),
            column("email", "public.email", "text"),
            column("data", "jsonb", nullable=True),
            column("span", "interval"),
            column("raw", "bytea"),
            column("many", "int4range", "int4", "int4range"),
        ),
    )
    lines = dict(
        line.strip().split(": ") for line in text.splitlines() if line.startswith("    ") and ": " in line
    )
    assert lines == {
        "id": "int", "tags": "list[Any]", "mood": "str", "email": "Any", "data": "Any", "span": "str",
        "raw": "str", "many": "str",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["class", "a b", 'quo"te', "dt", "int", "__x", "back\\slash", "ünï", "\u2028"]
)
def test_any_column_and_table_name_makes_a_class(tmp_path: Path, name: str) -> None:
    text = render(
        tmp_path,
        "- {name: a, table: 'public.*', events: [insert], queue: events}",
        table(name, ID, column(name, "date", nullable=True), column("born", "date")),
    )
    values = load(text)
    (made,) = [value for key, value in values.items() if key.endswith("Row")]
    hints = get_type_hints(made, values)
    assert set(hints) == {"id", name, "born"}
    assert hints["born"].__name__ == "date"


def test_tables_of_one_name_bear_their_schemas(tmp_path: Path) -> None:
    text = render(
        tmp_path,
        "- {name: a, tables: ['*.*'], events: [insert], queue: events}",
        table("orders", ID, schema="eu"),
        table("orders", ID, schema="us"),
        table("order-s", ID, schema="us"),
        table("order s", ID, schema="us"),
        table("2024", ID),
    )
    names = [line.split()[1].partition("(")[0] for line in text.splitlines() if line.startswith("class")]
    assert names == ["EuOrdersRow", "Table2024Row", "UsOrderSRow", "UsOrderSRow2", "UsOrdersRow"]


def test_a_spec_with_mistakes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError):
        render(tmp_path, "- {name: a, table: public.order, events: [insert], queue: events}", ORDERS)


def test_type_checkers_know_the_rows_of_a_change(tmp_path: Path) -> None:
    text = render(tmp_path, "- {name: a, table: public.orders, events: [insert], queue: events}", ORDERS)
    (tmp_path / "models.py").write_text(text)
    (tmp_path / "handlers.py").write_text(
        "from typing import Any\n"
        "from changelane import Change, Failed\n"
        "from models import OrdersRow\n"
        "def typed(changes: list[Change[OrdersRow]]) -> None:\n"
        "    for change in changes:\n"
        "        if change.new is not None:\n"
        "            reveal_type(change.new['total'])\n"
        "            change.new['totl']\n"
        "    raise Failed({change: ValueError() for change in changes})\n"
        "def untyped(change: Change) -> None:\n"
        "    reveal_type(change.new)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "handlers.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    lines = [line.partition(": ")[2] for line in done.stdout.splitlines()]
    assert lines == [
        'note: Revealed type is "decimal.Decimal"',
        'error: TypedDict "OrdersRow" has no key "totl"  [typeddict-item]',
        'note: Did you mean "total"?',
        'note: Revealed type is "dict[str, Any] | None"',
        "",
    ]
