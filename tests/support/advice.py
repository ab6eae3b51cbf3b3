"""What Supabase's linter would say of what `apply` makes: our own queries for its documented rules, over the
schemas that Changelane writes.
"""

from __future__ import annotations

from typing import Any

import psycopg

SCHEMAS = "('changelane', 'changelane_access', 'pgmq_public', 'pgmq')"
OURS = "('changelane', 'changelane_access', 'pgmq_public')"

RULES = {
    "auth_rls_initplan": r"""
        SELECT polrelid::regclass::text, polname::text
        FROM pg_policy
        CROSS JOIN LATERAL (VALUES
            (pg_get_expr(polqual, polrelid)), (pg_get_expr(polwithcheck, polrelid))
        ) AS part (expression)
        WHERE expression ~ '(auth\.(uid|jwt|role|email)|current_setting)\('
            AND lower(expression) !~ 'select\s+(auth\.(uid|jwt|role|email)|.*current_setting)\('
    """,
    # A policy FOR ALL counts for each command, one to PUBLIC for each role.
    "multiple_permissive_policies": """
        SELECT polrelid::regclass::text, role::regrole::text, command
        FROM pg_policy, unnest(polroles) AS role,
            unnest(CASE polcmd WHEN '*' THEN '{r,a,w,d}' ELSE ARRAY[polcmd::text] END) AS command
        WHERE polpermissive
        GROUP BY 1, 2, 3
        HAVING count(*) > 1
    """,
    "policy_exists_rls_disabled": """
        SELECT polname::text FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid WHERE NOT relrowsecurity
    """,
    "function_search_path_mutable": f"""
        SELECT proname::text
        FROM pg_proc
        WHERE pronamespace::regnamespace::text IN {OURS}
            AND NOT EXISTS (SELECT FROM unnest(proconfig) AS setting WHERE setting LIKE 'search_path=%')
        ORDER BY 1
    """,
    "security_definer_function_executable": """
        SELECT proname::text, role::text
        FROM pg_proc, unnest(%(clients)s::text[]) AS role
        WHERE pronamespace::regnamespace::text IN ('pgmq_public', 'public')
            AND prosecdef AND has_function_privilege(role, pg_proc.oid, 'EXECUTE')
    """,
    # A right on a column is enough; Supabase's rule asks for one on the table, and leaves archives out.
    "insecure_queue_exposed_in_api": """
        SELECT pg_class.oid::regclass::text, role::text
        FROM pg_class, unnest(%(clients)s::text[]) AS role
        WHERE relkind IN ('r', 'p') AND relnamespace = 'pgmq'::regnamespace AND relname ~ '^[qa]_'
            AND NOT relrowsecurity AND has_any_column_privilege(role, pg_class.oid, 'SELECT')
    """,
    "no_primary_key": f"""
        SELECT oid::regclass::text
        FROM pg_class
        WHERE relkind = 'r' AND relnamespace::regnamespace::text IN {OURS}
            AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = pg_class.oid AND indisprimary)
    """,
    "duplicate_index": f"""
        SELECT indrelid::regclass::text, array_agg(indexrelid::regclass::text)
        FROM pg_index
        JOIN pg_class ON pg_class.oid = indrelid AND relnamespace::regnamespace::text IN {SCHEMAS}
        GROUP BY indrelid, regexp_replace(pg_get_indexdef(indexrelid), ' INDEX .* ON ', ' ')
        HAVING count(*) > 1
    """,
    "security_definer_view": f"""
        SELECT oid::regclass::text
        FROM pg_class
        WHERE relkind = 'v' AND relnamespace::regnamespace::text IN {OURS}
    """,
}
"""By the name that the linter gives a rule: a query for what it would name."""

KNOWN = {
    "function_search_path_mutable": [
        (name,) for name in ("headers", "is_large", "is_large", "message", "new_id", "weigh")
    ]
}
"""Without SET, so that they become a part of the query."""


def advise(conn: psycopg.Connection[Any], *, clients: list[str]) -> dict[str, list[tuple[Any, ...]]]:
    """The objects that each rule reports, without rules that report none. ``clients`` are the API's roles."""
    found = {
        rule: conn.execute(query.encode(), {"clients": clients} if "%(" in query else None).fetchall()
        for rule, query in RULES.items()
    }
    return {rule: rows for rule, rows in found.items() if rows}
