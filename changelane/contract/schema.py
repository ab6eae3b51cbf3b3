"""Schema ``changelane``: the SQL that creates it, its version, and the hash that reveals drift.

``sql_out/schema.sql`` holds this text, so that people review it. ``apply`` runs it from there.
"""

from __future__ import annotations

import re

from changelane.contract.sql_text import load_sql

SCHEMA_VERSION = 16
"""Each change of ``sql/schema.sql`` raises the version, which the schema's COMMENT stores."""

SCHEMA_LIVE = load_sql(__name__, "schema_live")
"""SQL of the live hash of the schema's functions."""

SHARED = (
    "add_trace",
    "digest",
    "headers",
    "is_large",
    "key_only",
    "measure",
    "message",
    "new_id",
    "send_all",
    "weigh",
)
"""The functions that capture functions call, each as the capture function's owner."""

_MARK = """
-- The version, which older ones of Changelane read, and a hash of the functions as they are now.
COMMENT ON SCHEMA changelane IS 'changelane:schema {version}';
DO $do$ BEGIN
    EXECUTE pg_catalog.format('COMMENT ON TABLE changelane.sleepers IS %L', 'changelane:functions live=' ||
        {live}
    );
END $do$;
"""

SCHEMA_SQL = load_sql(__name__, "schema", whole=True) + _MARK.replace(
    "{version}", str(SCHEMA_VERSION)
).replace("{live}", SCHEMA_LIVE.strip().replace("\n", "\n        "))
"""Creates the schema and everything in it except capture functions. It may run again at any time."""

_COMMENT = re.compile(r"changelane:schema (\d+)")


def parse_schema_comment(comment: str) -> int | None:
    """The version in the schema's COMMENT. None: it is not ours."""
    found = _COMMENT.fullmatch(comment)
    return int(found[1]) if found else None
