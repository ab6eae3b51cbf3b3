"""Splits SQL that a person gave into statements, and refuses effects that a rollback could not undo."""

from __future__ import annotations

import re

from pglast import ast, parse_sql
from pglast.parser import ParseError

from changelane.contract.statement import Statement
from changelane.diagnostic import locate
from changelane.errors import ChangelaneError

_COMMANDS = {
    "SelectStmt": "SELECT",
    "InsertStmt": "INSERT",
    "UpdateStmt": "UPDATE",
    "DeleteStmt": "DELETE",
    "MergeStmt": "MERGE",
    "TruncateStmt": "TRUNCATE TABLE",
}


def split_script(text: str) -> tuple[Statement, ...]:
    """The statements of ``text``, each fit to run in a transaction that is rolled back.

    Raises ChangelaneError for text that is not SQL or holds no statement. Raises it also for a statement that
    would end the transaction, or that reads or writes outside the database. Postgres itself refuses other
    statements that cannot run in a transaction.
    """
    try:
        found = parse_sql(text)
    except ParseError as error:
        message, offset = error.args
        # The parser gives None for the end of the input.
        offset = len(text) if offset is None else offset
        raise ChangelaneError(f"{message} ({locate(text, offset)})", fix="nothing was run") from None
    statements = []
    for raw in found:
        length = raw.stmt_len or None
        if isinstance(raw.stmt, ast.TransactionStmt):
            word = text[raw.stmt_location :].split(maxsplit=1)[0].rstrip(";").upper()
            raise ChangelaneError(
                f"{word} would end or begin a transaction; nothing was run",
                fix="leave it out: all statements run in one transaction, which is rolled back",
            )
        if isinstance(raw.stmt, ast.CopyStmt) and (not raw.stmt.is_from or not raw.stmt.filename):
            raise ChangelaneError(
                "COPY between the table and the client, or to a file, cannot be tried; nothing was run",
                fix="write INSERT, or COPY ... FROM a file of the server",
            )
        if isinstance(raw.stmt, ast.CopyStmt) and raw.stmt.is_program:
            raise ChangelaneError(
                "COPY ... FROM PROGRAM cannot be tried: no rollback undoes a program; nothing was run",
                fix="write INSERT, or COPY ... FROM a file of the server",
            )
        # Blanks replace the text before it, so that positions in it are positions in the whole text.
        before, own = text[: raw.stmt_location], text[raw.stmt_location :][:length]
        first = re.search(r"[a-z]+", own, re.IGNORECASE)
        command = _COMMANDS.get(type(raw.stmt).__name__, first[0].upper() if first else "")
        statements.append(Statement(re.sub(r"\S", " ", before) + own, command))
    if not statements:
        raise ChangelaneError(
            "there is no statement to try", fix='for example: changelane try "UPDATE t SET a = a"'
        )
    return tuple(statements)
