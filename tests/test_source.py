from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changelane.diagnostic import Diagnostic, Span
from changelane.errors import ChangelaneError, SpecError
from changelane.generator.spec.yaml_reader import LIMIT_DEPTH, LIMIT_NODES, parse_source
from changelane.generator.spec.yaml_source import LIMIT_BYTES, Plain, Source, read_source, resolve


def read(text: str) -> Source:
    source = Source(text, file="pipelines.yaml")
    problems = parse_source(source)
    assert problems == []
    return source


def refuse(path: Path, content: bytes | str) -> tuple[Diagnostic, ...]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    try:
        return tuple(parse_source(read_source(path)))
    except SpecError as error:
        return error.diagnostics


def place(span: Span) -> tuple[int, int, int]:
    return span.line, span.column, span.end_column


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return tmp_path / "pipelines.yaml"


def test_columns_count_characters_and_not_bytes() -> None:
    source = read("ä: {'😀😀': é, b: [x, '😀', yy]}\n")
    assert place(source.locate("ä", "😀😀", key=True)) == (1, 5, 9)
    assert place(source.locate("ä", "😀😀")) == (1, 11, 12)
    assert place(source.locate("ä", "b", 2)) == (1, 26, 28)


def test_a_missing_path_is_its_nearest_parent() -> None:
    source = read("a:\n  b: {c: 1}\n  d: [1]\n")
    assert place(source.locate("a", "b", "x", "y")) == (2, 3, 4)
    assert place(source.locate("a", "d", 7)) == (3, 3, 4)
    assert place(source.locate("nothing")) == (1, 1, 3)


def test_a_value_that_is_empty_is_located_at_its_key() -> None:
    assert place(read("a:\n  b:\n  c: 1\n").locate("a", "b")) == (2, 3, 4)


def test_an_alias_is_located_where_its_text_stands() -> None:
    assert place(read("a: &x [one, two]\nb: *x\n").locate("b", 1)) == (1, 13, 16)


@pytest.mark.parametrize(
    ("text", "word", "expected"),
    [
        ("w: new.statu = 'x'\n", "new.statu", (1, 4, 13)),
        ("w:   new.statu = 'x'   # why\n", "'x'", (1, 18, 21)),
        ("w: \"new.statu = 'x'\"\n", "'x'", (1, 17, 20)),
        ("w: 'new.statu > 1'\n", "1", (1, 17, 18)),
        ("w: |\n  new.a\n    and old.b\n", "old.b", (3, 9, 14)),
        ("w: |2-  # why\n    new.a\n\n   and old.b\n", "old.b", (4, 8, 13)),
        ("w: >-\n  new.a\n  and old.b\n", "old.b", (3, 7, 12)),
        ("w: new.a\n   and old.b\n", "old.b", (2, 8, 13)),
        ("w: 'new.a\n   and old.b'\n", "and old", (2, 4, 11)),
        ("w: &anchor new.a\n", "new.a", (1, 12, 17)),
        ("w: new.ä = '😀' and b\n", "b", (1, 20, 21)),
    ],
)
def test_a_part_of_a_value_is_found_in_the_text(text: str, word: str, expected: tuple[int, int, int]) -> None:
    source = read(text)
    node = source.find("w")
    assert node is not None
    assert isinstance(node.content, str)
    assert place(source.locate_within(node.content.index(word), len(word), "w")) == expected


@pytest.mark.parametrize("text", ["w: 'it''s'\n", 'w: "a\\x41b"\n'])
def test_a_part_of_a_value_with_escapes_is_the_whole_of_it(text: str) -> None:
    source = read(text)
    assert source.locate_within(1, 1, "w") == source.locate("w")


def test_the_end_of_a_value_is_past_its_last_character() -> None:
    assert place(read("w: new.a =\n").locate_within(7, 1, "w")) == (1, 11, 12)
    assert place(read("w: |\n  new.a =\n").locate_within(8, 1, "w")) == (2, 10, 11)


@pytest.mark.parametrize(
    ("text", "value"),
    [("12", 12), ("-1", -1), ("0", 0), ("null", None), ("~", None), ("", None)],
)
def test_scalars_that_all_yaml_readers_agree_on_are_numbers_or_null(text: str, value: object) -> None:
    assert resolve(Plain(text)) == value


@pytest.mark.parametrize(
    "text", ["012", "0x1F", "12:30", "1_000", "1.5", "true", "yes", "2024-01-01", "9" * 5000]
)
def test_scalars_that_yaml_readers_disagree_on_stay_text(text: str) -> None:
    assert resolve(Plain(text)) == text


def test_quoted_text_is_never_a_number() -> None:
    assert resolve(read("a: '12'\n").root.plain()) == {"a": "12"}


def test_windows_line_ends_and_a_byte_order_mark_are_no_matter(spec: Path) -> None:
    spec.write_bytes("\ufeffa: ü\r\nb:\r\n  - c\r\n".encode())
    source = read_source(spec)
    assert parse_source(source) == []
    assert place(source.locate("a", key=True)) == (1, 1, 2)
    assert place(source.locate("b", 0)) == (3, 5, 6)
    assert source.read_line(3) == "  - c"


PROBLEMS = [
    ("queues: {a: {}\n", ["1:9 CL001"]),
    ("queues:\n  a: b: c\n", ["2:7 CL001"]),
    ("queues:\n\ta: {}\n", ["2:1 CL001"]),
    ("queues:\n    a: {}\n  b: {}\n", ["3:3 CL001"]),
    ("routes:\n  - name: 'a\n", ["2:11 CL001"]),
    ("routes:\n  - name: @a\n", ["2:11 CL001"]),
    ('routes:\n  - name: "a\\q"\n', ["2:13 CL001"]),
    ("a: 1\n😀: é\x07\n", ["2:5 CL002"]),
    ("a: x\u202ey\n", ["1:5 CL002"]),
    ("a: x\u2028b: y\x85c: \ufeffz\n", ["1:5 CL002", "1:10 CL002", "1:14 CL002"]),
    ("a: 1\rb: 2\r\n", ["1:5 CL002"]),
    ('a: "b\\0"\n', ["1:4 CL002"]),
    ("queues: *nothing\n", ["1:9 CL004"]),
    ("queues: &q\n  a: *q\n", ["2:6 CL004"]),
    ("a: !!map\nb: !!python/object:os.system x\nc: !own [1]\n", ["1:4 CL005", "2:4 CL005", "3:4 CL005"]),
    ("a: &a {b: c}\nd: {<<: *a}\n", ["2:5 CL005"]),
    ("a: 1\nb:\n  c: 1\n  'c': 2\na: 2\n", ["4:3 CL006", "5:1 CL006"]),
    ("on: 1\nyes: 2\n2024: 3\nnull: 4\n1.5: 5\n2024-01-01: 6\n", [f"{n}:1 CL007" for n in range(1, 7)]),
    ("? [a]\n: b\n", ["1:3 CL007"]),
    ("a: 1\n---\nb: 2\n", ["2:1 CL008"]),
    ("- a: 1\n", ["1:1 CL008"]),
    ("hello\n", ["1:1 CL008"]),
    ("# a comment\n", ["1:1 CL008"]),
    ("", ["1:1 CL008"]),
    ("~\n", ["1:1 CL008"]),
]


@pytest.mark.parametrize(("text", "expected"), PROBLEMS, ids=range(len(PROBLEMS)))
def test_text_that_is_no_plain_mapping_is_refused_where_it_goes_wrong(
    spec: Path, text: str, expected: list[str]
) -> None:
    found = refuse(spec, text)
    assert [f"{problem.span.line}:{problem.span.column} {problem.code}" for problem in found] == expected
    assert all(problem.summary for problem in found)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: 1\nb: \xc3\xa4\xff\n", (2, 5)),
        (b"a: \xed\xa0\x80\n", (1, 4)),
        ("a: 1\n".encode("utf-16"), (1, 1)),
        ("a: 1\n".encode("utf-16-le"), (1, 1)),
        ("a: 1\n".encode("utf-16-be"), (1, 1)),
        ("a: 1\n".encode("utf-32-be"), (1, 1)),
    ],
)
def test_bytes_that_are_not_utf_8_are_refused_with_their_line(
    spec: Path, content: bytes, expected: tuple[int, int]
) -> None:
    (problem,) = refuse(spec, content)
    assert (problem.span.line, problem.span.column) == expected
    assert "UTF-8" in problem.summary


def test_a_key_that_yaml_reads_as_a_boolean_is_said_to_be_one(spec: Path) -> None:
    (problem,) = refuse(spec, "on: 1\n")
    assert problem.summary == "YAML 1.1 reads the key `on` as a boolean, not as text"
    assert problem.fix == 'put it in quotes: "on"'


HOSTILE = {
    "laughs": "a0: &a0 [x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)),
    "deep in brackets": "a: " + "[" * 100_000,
    "deep in lists": "- " * 100_000,
    "deep in keys": "? " * 100_000,
    "deep by aliases": "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 100)),
    "many values": "a: [" + "1, " * (LIMIT_NODES + 1) + "]",
    "long": "a: " + "x" * LIMIT_BYTES,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_spec_made_to_exhaust_memory_is_refused(spec: Path, name: str) -> None:
    assert refuse(spec, HOSTILE[name])[-1].code == "CL003"


def test_a_long_line_is_not_repeated_in_every_problem(spec: Path) -> None:
    found = refuse(spec, "{" + "on: 1, " * 90_000 + "}")
    assert len(found) <= 201
    assert sum(len(problem.source) for problem in found) < 1_000_000


def test_a_list_as_deep_as_allowed_is_read() -> None:
    depth = LIMIT_DEPTH - 1
    assert read("a: " + "[" * depth + "]" * depth).find("a", *[0] * (depth - 1)) is not None


def test_a_file_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ChangelaneError, match="does not exist") as caught:
        read_source(tmp_path / "none.yaml")
    assert "changelane init" in caught.value.fix
    with pytest.raises(ChangelaneError, match="cannot be read"):
        read_source(tmp_path)


def test_a_source_line_never_holds_what_a_terminal_acts_upon(spec: Path) -> None:
    (problem,) = refuse(spec, "a: \x1b[31m\tb\n")
    assert problem.source == "a: \ufffd[31m b"


@given(
    words=st.lists(st.text("abcäö😀.=", min_size=1, max_size=6), min_size=1, max_size=6),
    style=st.sampled_from(["plain", "single", "double", "literal", "folded"]),
    data=st.data(),
)
def test_every_word_of_an_expression_is_found_where_it_stands(
    words: list[str], style: str, data: st.DataObject
) -> None:
    separators = data.draw(
        st.lists(st.sampled_from([" ", "\n   "]), min_size=len(words), max_size=len(words))
    )
    body = "x" + "".join(separator + word for separator, word in zip(separators, words, strict=True))
    wrap = {"plain": "{}", "single": "'{}'", "double": '"{}"', "literal": "|\n   {}", "folded": ">\n   {}"}
    text = f"w: {wrap[style].format(body)}\n"
    source = read(text)
    node = source.find("w")
    assert node is not None
    assert isinstance(node.content, str)
    offset = 1
    for word in words:
        offset = node.content.index(word, offset)
        span = source.locate_within(offset, len(word), "w")
        assert text.split("\n")[span.line - 1][span.column - 1 : span.end_column - 1] == word
        offset += len(word)
