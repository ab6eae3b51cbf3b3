import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from changelane.contract.selection import TablePattern
from changelane.diagnostic import Diagnostic
from changelane.errors import SpecError
from changelane.generator.spec.codes import Code
from changelane.generator.spec.json_schema import render_schema
from changelane.generator.spec.loading import Document, read_spec
from changelane.generator.spec.table_names import parse_table
from changelane.generator.spec.yaml_reader import parse_source
from changelane.generator.spec.yaml_source import Value, name_type, read_source, resolve

HERE = Path(__file__).parent
VALID = sorted((HERE / "spec_valid").glob("*.yaml"))
INVALID = sorted((HERE / "spec_invalid").glob("*.yaml"))
"""Specs with a mistake in one place, which the JSON Schema sees, too. A last comment names the error."""
CONTRADICTORY = sorted((HERE / "spec_contradictory").glob("*.yaml"))
"""Specs with contradictions between places, or mistakes that a schema cannot express."""

HEAD = "version: 1\nproject: shop\nqueues: {events: {}}\n"
ROUTE = "routes:\n  - {name: r, table: public.t, events: [insert], queue: events}\n"
CONSUMER = "consumers:\n  events:\n    handler: m:f\n"


def name(path: Path) -> str:
    return path.stem


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return tmp_path / "pipelines.yaml"


def read(spec: Path, text: str) -> Document:
    spec.write_text(text)
    return read_spec(spec)


def diagnose(spec: Path) -> list[Diagnostic]:
    """The errors of a spec; empty for a correct one."""
    try:
        read_spec(spec)
    except SpecError as error:
        return list(error.diagnostics)
    return []


def find(spec: Path) -> list[str]:
    return [f"{problem.span.line}:{problem.span.column} {problem.code}" for problem in diagnose(spec)]


@pytest.mark.parametrize("path", VALID, ids=name)
def test_a_right_spec_is_read(path: Path) -> None:
    assert read_spec(path).spec.project == "shop"


@pytest.mark.parametrize("path", INVALID + CONTRADICTORY, ids=name)
def test_a_wrong_spec_is_refused_where_it_is_wrong(path: Path) -> None:
    expected = [line[2:] for line in path.read_text().splitlines() if line.startswith("# ")]
    assert expected
    assert find(path) == expected


TEN = """\
version: 1
project: Shop
queues:
  order_events: {dead_leter: gone}
  "on": {kind: logged}
routes:
  - name: é😀
    table: orders
    events: [insert, updated]
    queue: order_event
    payload: {columns: [id, id], old: ful}
consumers:
  order_events:
    handler: handlers.orders
    lease: 60
"""


def test_ten_mistakes_are_ten_problems_each_in_its_place(spec: Path) -> None:
    spec.write_text(TEN)
    assert find(spec) == [
        "2:10 CL105",
        "4:18 CL101",
        "7:11 CL105",
        "8:12 CL109",
        "9:22 CL104",
        "10:12 CL202",
        "11:29 CL108",
        "11:39 CL104",
        "14:14 CL105",
        "15:12 CL104",
    ]


def test_problems_bear_the_source_line_and_a_guess(spec: Path) -> None:
    spec.write_text(TEN)
    with pytest.raises(SpecError, match="10 problems in the spec") as caught:
        read_spec(spec)
    lines = TEN.splitlines()
    assert all(problem.source == lines[problem.span.line - 1] for problem in caught.value.diagnostics)
    helps = {problem.span.line: problem.fix for problem in caught.value.diagnostics}
    assert helps[2] == "write shop"
    assert helps[4] == "did you mean `dead_letter`?"
    assert helps[8] == "write public.orders"
    assert helps[9] == "did you mean `update`?"
    assert helps[10] == "did you mean `order_events`?"
    assert helps[15] == "a unit is missing: did you mean `60s`?"


def test_values_are_seconds_and_table_names_as_written(spec: Path) -> None:
    document = read_spec(HERE / "spec_valid" / "everything.yaml")
    paid, billing = document.spec.routes
    assert (paid.delay, billing.delay) == (30, 0)
    assert billing.tables == ('public."weird.name"', "billing.*", '"My Schema"."T""x"', "public.Order")
    assert billing.queues == ("order_events", "on")
    assert billing.when == "new.total > 100\n  or old.total > 100\n"
    consumer = document.spec.consumers["order_events"]
    assert (consumer.lease, consumer.timeout) == (60, 300)
    assert (consumer.retry.first, consumer.retry.max) == (0.5, 5400)
    assert document.spec.dead_letter("order_events") == "order_events_failed"
    assert document.spec.dead_letter("on") == "on_dlq"


def test_a_route_knows_where_its_tables_and_queues_are_written() -> None:
    document = read_spec(HERE / "spec_valid" / "everything.yaml")
    for route in document.spec.routes:
        for path, text in [
            *((route.table_path(at), table) for at, table in enumerate(route.tables)),
            *((route.queue_path(at), queue) for at, queue in enumerate(route.queues)),
        ]:
            node = document.source.find(*path)
            assert node is not None
            assert node.content == text


def test_a_problem_found_later_is_placed_like_the_others() -> None:
    document = read_spec(HERE / "spec_valid" / "everything.yaml")
    problem = document.diagnose("CL999", "no", "routes", 0, "when", within=(4, 6), severity="warning")
    assert problem.source[problem.span.column - 1 : problem.span.end_column - 1] == "status"
    assert problem.severity == "warning"
    key = document.diagnose("CL999", "no", "routes", 0, "when", key=True)
    assert key.source[key.span.column - 1 : key.span.end_column - 1] == "when"


def test_words_that_yaml_1_1_turns_into_something_else_stay_as_written() -> None:
    (route,) = read_spec(HERE / "spec_valid" / "words_of_yaml_1_1.yaml").spec.routes
    assert route.name == "yes"
    assert route.tables == ("public.no",)
    assert route.update_of == ("on", "off", "y", "2024-01-01", "012")


def test_the_models_are_frozen_and_know_no_index_key(spec: Path) -> None:
    document = read(spec, HEAD + ROUTE)
    assert document.spec.routes[0].index == 0
    with pytest.raises(ValueError, match="frozen"):
        document.spec.project = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60),
        ("5m", 300),
        ("1h", 3600),
        ("2 days", 172800),
        ("1 day", 86400),
        ("1500ms", 1.5),
        ("1.5 hours", 5400),
        ("10 min", 600),
        ("1 week", 604800),
        ("'30 seconds'", 30),
    ],
)
def test_durations_become_seconds(spec: Path, text: str, seconds: float) -> None:
    assert read(spec, f"{HEAD}{CONSUMER}    lease: {text}\n").spec.consumers["events"].lease == seconds


@pytest.mark.parametrize(
    "text", ["60", "-1s", "1 parsec", "1h30m", "s", "1e3s", "٣s", "1_0s", "inf", "1:30", "'0 '"]
)
def test_other_durations_are_refused(spec: Path, text: str) -> None:
    spec.write_text(f"{HEAD}{CONSUMER}    lease: {text}\n")
    assert find(spec) == ["7:12 CL104"]


@pytest.mark.parametrize("size", ["256kb", "1.5 MB", "-1 kB", "256", "1 TB", "0 B", "[1]"])
def test_other_sizes_are_refused(spec: Path, size: str) -> None:
    spec.write_text(HEAD + ROUTE.replace("queue:", f"payload: {{max_bytes: {size}}}, queue:"))
    assert len(find(spec)) == 1


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("public.orders", TablePattern(schema_="public", name="orders")),
        ("public.Order", TablePattern(schema_="public", name="Order")),
        ('public."weird.name"', TablePattern(schema_="public", name="weird.name")),
        ('"My Schema"."T""x"', TablePattern(schema_="My Schema", name='T"x')),
        ("billing.*", TablePattern(schema_="billing", name="*", name_glob=True)),
        ('tenant_?."*"', TablePattern(schema_="tenant_?", name="*", schema_glob=True)),
        ("my schema.t", TablePattern(schema_="my schema", name="t")),
    ],
)
def test_table_names_are_exact_quoted_or_globs(text: str, pattern: TablePattern) -> None:
    assert parse_table(text) == pattern


@pytest.mark.parametrize(
    "text",
    ["orders", "", ".", "a.", ".b", "a.b.c", 'a."b', 'a."b"c', 'a."".b', 'a.""', "a. b", "a .b", 'a.b"c'],
)
def test_other_table_names_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write \w+\."):
        parse_table(text)


@pytest.mark.parametrize(
    ("pattern", "table", "matches"),
    [
        ("billing.*", "billing.x", True),
        ("billing.*", "billings.x", False),
        ("b*g.in?oices_*", "billing.invoices_2024", True),
        ("b*g.in?oices", "billing.inoices", False),
        ("*.*", "a.b", True),
        ('a."*"', "a.b", False),
        ('a."*"', "a.*", True),
        ("a.*[x]", "a.b[x]", True),
        ("a.*[x]", "a.bx", False),
        ("a.B*", "a.bc", False),
    ],
)
def test_globs_match_in_either_part_and_not_in_quotes(pattern: str, table: str, matches: bool) -> None:
    assert parse_table(pattern).matches(*table.split(".")) is matches


def test_a_glob_of_many_stars_ends() -> None:
    assert not parse_table("a." + "*a" * 60 + "b").matches("a", "a" * 1000)


@given(schema=st.text('a."*? é', min_size=1), table=st.text('a."*? é', min_size=1))
def test_any_name_can_be_written_in_quotes(schema: str, table: str) -> None:
    text = ".".join(f'"{part.replace(chr(34), chr(34) * 2)}"' for part in (schema, table))
    pattern = parse_table(text)
    assert (pattern.schema_, pattern.name, pattern.is_glob) == (schema, table, False)
    assert pattern.matches(schema, table)


def test_the_published_schema_is_up_to_date() -> None:
    assert (HERE.parent / "schema" / "pipelines.schema.json").read_text() == render_schema()


def test_the_schema_is_one_and_describes_every_property() -> None:
    schema = json.loads(render_schema())
    jsonschema.Draft7Validator.check_schema(schema)
    pending, properties = [schema], 0
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            for described in part.get("properties", {}).values():
                properties += 1
                assert described["description"].endswith(".")
            pending += part.values()
        elif isinstance(part, list):
            pending += part
    assert properties > 30
    assert "$ref" not in render_schema()


def as_seen_by_a_schema(value: Value) -> object:
    if isinstance(value, dict):
        return {key: as_seen_by_a_schema(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_seen_by_a_schema(item) for item in value]
    kind, resolved = name_type(value), resolve(value)
    if kind == "a boolean":
        return str(value).lower() == "true"
    # YAML readers disagree on other forms of numbers, so a spec refuses them.
    return 0.5 if kind == "a number" and not isinstance(resolved, int) else resolved


@pytest.mark.parametrize("path", VALID + INVALID, ids=name)
def test_schema_and_validator_agree(path: Path) -> None:
    source = read_source(path)
    assert parse_source(source) == []
    validator = jsonschema.Draft7Validator(json.loads(render_schema()))
    accepted = validator.is_valid(as_seen_by_a_schema(source.root.plain()))
    assert accepted is (path in VALID)


def test_very_many_problems_are_cut_off_and_said_to_be(spec: Path) -> None:
    keys = "".join(f"  queue_{number}: {{dead: x}}\n" for number in range(3000))
    spec.write_text("version: 1\nproject: shop\nqueues:\n" + keys)
    found = find(spec)
    assert len(found) == 201
    assert found[-1].endswith(Code.TOO_MANY)


def test_very_many_routes_to_queues_that_are_misspelt_are_refused(spec: Path) -> None:
    queues = "".join(f"  queue_{number}: {{}}\n" for number in range(3000))
    routes = "".join(
        f"  - {{name: r{number}, table: a.b, events: [insert], queue: queu_{number}}}\n"
        for number in range(3000)
    )
    spec.write_text(f"version: 1\nproject: shop\nqueues:\n{queues}routes:\n{routes}")
    assert len(find(spec)) == 201


WORDS = [
    *("version", "project", "queues", "routes", "consumers", "name", "table", "tables", "events", "queue"),
    *(
        "payload",
        "columns",
        "old",
        "retry",
        "first",
        "max",
        "handler",
        "dead_letter",
        "insert",
        "public.t",
        "1",
    ),
    *(
        "5m",
        "on",
        "null",
        "~",
        "",
        "api",
        "kind",
        "partition",
        "[key]",
        "é😀",
        "a:b",
        "'",
        '"',
        "\x00",
        "\ud7ff",
    ),
]
scalars = st.one_of(st.sampled_from(WORDS), st.text(max_size=5), st.integers(), st.booleans(), st.none())
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)
    ),
    max_leaves=20,
)
documents = st.one_of(
    st.text(max_size=60),
    st.text("ab:-[]{}&*#|>'\"\\?!%@`<, \n\t\r\u2028é😀0", max_size=60),
    values.map(lambda value: json.dumps(value, ensure_ascii=False)),
    st.dictionaries(st.sampled_from(WORDS[:5]), values).map(
        lambda value: "\n".join(f"{key}: {json.dumps(item)}" for key, item in value.items())
    ),
)


@settings(max_examples=400)
@given(text=documents)
def test_any_text_is_read_or_refused_at_places_within_it(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    lines = text.removeprefix("\ufeff").split("\n")
    found = diagnose(path)
    assert found == sorted(found)
    for problem in found:
        assert 1 <= problem.span.line <= len(lines)
        line = lines[problem.span.line - 1]
        assert 1 <= problem.span.column <= len(line) + 1
        assert problem.span.column < problem.span.end_column <= len(line) + 2


@settings(max_examples=200)
@given(content=st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(content)
    diagnose(path)
