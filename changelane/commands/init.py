"""``changelane init``"""

from __future__ import annotations

import click

from changelane.cli import Settings
from changelane.commands.output import say
from changelane.contract.file import write_whole
from changelane.errors import ChangelaneError
from changelane.generator.spec.json_schema import render_schema
from changelane.generator.spec.starter import OWNER, draft
from changelane.runner.live.inspect import inspect
from changelane.runner.live.session import reach
from changelane.runner.live.table_sizes import can_own, measure_tables


@click.command(name="init")
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
@click.pass_obj
def command(settings: Settings, *, force: bool) -> None:
    """Write a commented pipelines.yaml from the live schema, and its JSON Schema beside it.

    It holds a route for each table, commented out, with the table's size and key, and one route over a glob
    for each large schema. Tables of migration tools and columns that look secret are left out. The
    project gets the folder's name. Nothing is written if the database has no tables.
    """
    path = settings.file
    schema = path.with_suffix(".schema.json")
    exists = ChangelaneError(f"{path} exists", fix="name another with --file, or overwrite it with --force")
    if path.exists() and not force:
        raise exists
    with reach(settings.database_url, doing="init") as conn:
        catalog = inspect(conn)
        extents = measure_tables(conn)
        owns = can_own(conn, OWNER)
        database = conn.info.dbname
    text = draft(
        catalog,
        project=path.resolve().parent.name,
        database=database,
        schema=schema.name,
        sizes={(size.schema, size.name): (size.rows, size.bytes, size.partitions) for size in extents},
        owns=owns,
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if force:
            write_whole(path, text)
        else:
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
        write_whole(schema, render_schema())
    except FileExistsError:
        raise exists from None
    except OSError as error:
        raise ChangelaneError(
            f"{path} cannot be written: {error.strerror}",
            fix="name another file with --file",
        ) from None
    say(f"{path}: written, {text.count('  # - name: ')} routes, all switched off")
    say(f"{schema}: written, for editors that check {path.name}")
    say(f"  next: uncomment routes in {path}, then `changelane inspect` and `changelane generate`", err=True)
