from __future__ import annotations

from pathlib import Path

from changelane.contract.catalog import load_catalog
from changelane.generator.check import find_problems

CATALOG = load_catalog(Path(__file__).parent.parent / "sql_out" / "catalog.json")

SPEC = """\
version: 1
project: shop
queues:
  order_events: {kind: loged}
routes:
  - name: orders
    table: shop.orders
    events: [insert, upsert]
    update_of: [statos]
    when: new.nope > 0
    payload:
      columns: [id, totl, status]
      old: never
      mask: {totl: sha256, status: md5}
      extra: {actor: new.who, 'é': 'new.id >'}
    queue: order_events
"""


def test_a_wrong_value_hides_nothing_that_the_catalog_says_of_the_values_around_it(tmp_path: Path) -> None:
    spec = tmp_path / "pipelines.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    found = find_problems(spec, CATALOG)
    assert [f"{problem.span.line}:{problem.span.column} {problem.code}" for problem in found] == [
        "4:24 CL104",
        "8:22 CL104",
        "9:17 CL302",
        "10:11 CL302",
        "12:21 CL302",
        "13:12 CL104",
        "14:14 CL302",
        "14:36 CL104",
        "15:22 CL302",
        "15:44 CL305",
    ]
