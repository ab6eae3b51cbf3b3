import json

from changelane.diagnostic import Diagnostic, Span, render_github, render_json, render_text

WRONG = Diagnostic(
    span=Span(file="pipelines.yaml", line=3, column=8, end_column=12),
    code="CL104",
    summary="`old` must be `full`, not `ful`",
    fix="did you mean `full`?",
    source="  old: full",
)


def test_text_underlines_the_place_and_ends_with_the_help() -> None:
    assert render_text([WRONG]) == (
        "pipelines.yaml:3:8: error[CL104]: `old` must be `full`, not `ful`\n"
        "    3 |   old: full\n"
        "               ^^^^\n"
        "  fix: did you mean `full`?\n"
    )


def test_text_without_a_source_line_is_the_head_alone() -> None:
    bare = Diagnostic(span=WRONG.span, code="CL003", summary="too large", severity="warning")
    assert render_text([bare]) == "pipelines.yaml:3:8: warning[CL003]: too large\n"


def test_the_underline_stays_within_the_line() -> None:
    long = Diagnostic(
        span=Span(file="f", line=1, column=3, end_column=99), code="CL001", summary="s", source="abcd"
    )
    assert render_text([long]).splitlines()[2] == " " * 10 + "^^"


def test_problems_are_sorted_by_file_line_and_column() -> None:
    spans = [Span("b", 1, 1, 2), Span("a", 10, 1, 2), Span("a", 2, 9, 10), Span("a", 2, 1, 2)]
    ordered = sorted(Diagnostic(span=span, code="CL001", summary="s") for span in spans)
    assert [problem.span for problem in ordered] == [spans[3], spans[2], spans[1], spans[0]]


def test_json_holds_every_field() -> None:
    assert json.loads(render_json([WRONG])) == {
        "format_version": 2,
        "diagnostics": [
            {
                "span": {"file": "pipelines.yaml", "line": 3, "column": 8, "end_column": 12},
                "code": "CL104",
                "summary": "`old` must be `full`, not `ful`",
                "fix": "did you mean `full`?",
                "source": "  old: full",
                "severity": "error",
            }
        ],
    }


def test_github_annotations_are_one_line_each_and_escaped() -> None:
    span = Span(file="a,b:c.yaml", line=1, column=2, end_column=3)
    hostile = Diagnostic(span=span, code="CL001", summary="50% of\n::error::it")
    assert render_github([hostile, WRONG]).splitlines() == [
        "::error file=a%2Cb%3Ac.yaml,line=1,col=2,endColumn=3,title=CL001::50%25 of%0A::error::it",
        "::error file=pipelines.yaml,line=3,col=8,endColumn=12,title=CL104::`old` must be `full`, not `ful`",
    ]
