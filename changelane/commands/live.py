"""Checks the spec against the live database, without a change to it."""

from __future__ import annotations

from collections.abc import Iterator

from changelane.cli import Settings
from changelane.contract.catalog import Catalog
from changelane.contract.manifest import Manifest
from changelane.diagnostic import Diagnostic, Span
from changelane.errors import DatabaseError, SpecError
from changelane.generator.check import build, find_problems
from changelane.generator.render.sql_out import Output
from changelane.generator.spec.codes import Code
from changelane.generator.spec.loading import Document
from changelane.generator.spec.scalars import show
from changelane.runner.apply.plan import plan
from changelane.runner.apply.preflight import check
from changelane.runner.live import pgmq
from changelane.runner.live.inspect import inspect
from changelane.runner.live.observe import observe
from changelane.runner.live.session import reach
from changelane.runner.relay.survey import check_destinations

_SHOWN = 5


def find_live_problems(settings: Settings, saved: Catalog | None) -> tuple[Diagnostic, ...]:
    """All problems and warnings: of the spec alone, against the live tables, and reasons why apply would
    refuse.

    ``saved`` is the content of ``catalog.json``. Raises SpecError, DatabaseError, ChangelaneError.
    """
    with reach(settings.database_url, doing="validate") as conn:
        live = inspect(conn)
        problems = list(find_problems(settings.file, live))
        try:
            document, output = build(settings.file, live)
        except SpecError:
            return tuple(problems)
        manifest = Manifest.model_validate_json(output.files["manifest.json"])
        observed = observe(conn, manifest)
        installed = pgmq.detect(conn)
        planned = plan(manifest, observed)
        refused = check(planned, observed)
        refused += [DatabaseError(what, fix=fix) for what, fix in planned.explain_left()]
    if saved is not None and (stale := _find_stale(settings, saved, live, output)):
        problems.append(stale)
    problems += _check_pgmq(document, installed, refused=bool(refused))
    problems += [document.diagnose(Code.REFUSED, error.what, "project", fix=error.fix) for error in refused]
    problems += _check_destinations(document, manifest)
    return tuple(sorted(set(problems)))


def _check_destinations(document: Document, manifest: Manifest) -> Iterator[Diagnostic]:
    for look in check_destinations(manifest.consumers, manifest.destinations):
        yield document.diagnose(
            Code.ENGINE,
            f"destination {look.destination} ({look.engine}): {look.finding.text}",
            "consumers", look.queue, "relay", "to",
            fix=look.finding.fix,
            severity=look.finding.severity,
        )  # fmt: skip


def _check_pgmq(document: Document, installed: pgmq.Pgmq | None, *, refused: bool) -> Iterator[Diagnostic]:
    if installed is None and not refused:
        yield document.diagnose(
            Code.PGMQ,
            "pgmq is not installed in the database",
            "queues",
            key=True,
            fix="`changelane apply` installs it",
            severity="warning",
        )
    elif installed is not None and not installed.headers:
        yield document.diagnose(
            Code.PGMQ,
            "pgmq in the database is too old: its `send` takes no headers",
            "queues",
            key=True,
            fix="upgrade it to 1.5.1 or newer: ALTER EXTENSION pgmq UPDATE",
        )


def _find_stale(settings: Settings, saved: Catalog, live: Catalog, output: Output) -> Diagnostic | None:
    """A warning if the tables that differ are in no route, an error if the generated SQL would change."""
    path = settings.out / "catalog.json"
    changes = _compare(saved, live)
    if not changes:
        return None
    try:
        matters = build(settings.file, saved)[1].files != output.files
    except SpecError:
        matters = True
    shown = ", ".join(changes[:_SHOWN]) + (f" and {len(changes) - _SHOWN} more" if changes[_SHOWN:] else "")
    return Diagnostic(
        span=Span(file=str(path), line=1, column=1, end_column=2),
        code=Code.STALE_CATALOG.value,
        summary=f"the catalog is not what the database holds now: {shown}",
        fix="run `changelane inspect`, then `changelane generate`"
        if matters
        else "the SQL stays the same; `changelane inspect` writes it anew",
        severity="error" if matters else "warning",
    )


def _compare(saved: Catalog, live: Catalog) -> list[str]:
    """One entry per table that is new, gone or different, by schema and name."""
    before = {table.identity: table for table in saved.tables}
    after = {table.identity: table for table in live.tables}
    changes = []
    for identity in sorted(before.keys() | after.keys()):
        name = show(".".join(identity))
        if identity not in before:
            changes.append(f"{name} is new")
        elif identity not in after:
            changes.append(f"{name} is gone")
        elif before[identity] != after[identity]:
            changes.append(f"{name} differs")
    return changes
