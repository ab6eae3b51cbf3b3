"""Values that a capture function sees differently from the writing session: it runs as its owner, with
settings of its own.
"""

from __future__ import annotations

from pglast import ast
from pglast.enums import SQLValueFunctionOp

from changelane.generator.sql.column_types import PINNED

_ROLES = {
    SQLValueFunctionOp.SVFOP_CURRENT_ROLE: "current_role",
    SQLValueFunctionOp.SVFOP_CURRENT_USER: "current_user",
    SQLValueFunctionOp.SVFOP_USER: "user",
}
_ROLE_HELP = (
    "write session_user for the role that logged in, current_setting('role') for the role of SET ROLE, or a "
    "setting of the application: current_setting('app.user', true)"
)
_PATH_HELP = (
    "write the schema's name, or let the application set its own: current_setting('app.schema', true)"
)
_PATH_CALLS = frozenset(
    {
        *("current_schema", "current_schemas", "pg_collation_is_visible", "pg_conversion_is_visible"),
        *("pg_function_is_visible", "pg_opclass_is_visible", "pg_operator_is_visible"),
        *("pg_opfamily_is_visible", "pg_statistics_obj_is_visible", "pg_table_is_visible"),
        *("pg_ts_config_is_visible", "pg_ts_dict_is_visible", "pg_ts_parser_is_visible"),
        *("pg_ts_template_is_visible", "pg_type_is_visible"),
    }
)
_ROLE_CALLS = {
    **dict.fromkeys(("has_column_privilege",), 3),
    **dict.fromkeys(
        [
            *("has_any_column_privilege", "has_database_privilege", "has_foreign_data_wrapper_privilege"),
            *("has_function_privilege", "has_language_privilege", "has_largeobject_privilege"),
            *("has_parameter_privilege", "has_schema_privilege", "has_sequence_privilege"),
            *("has_server_privilege", "has_table_privilege", "has_tablespace_privilege"),
            *("has_type_privilege", "pg_has_role"),
        ],
        2,
    ),
    "row_security_active": 1,
}
"""Functions that ask for the current user, each with the number of arguments at which they do."""
_SETTINGS = {name.lower() for name in PINNED} | {"search_path", "jit"}


def find_definer_value(node: ast.Node) -> tuple[str, str]:
    """The part of ``node`` that would give the function's own value, and the text to write instead; else
    empty.
    """
    if isinstance(node, ast.SQLValueFunction):
        if node.op in _ROLES:
            return f"{_ROLES[node.op]}, which is the owner of the capture function", _ROLE_HELP
        if node.op == SQLValueFunctionOp.SVFOP_CURRENT_SCHEMA:
            return "current_schema, which is the capture function's own", _PATH_HELP
        return "", ""
    if not isinstance(node, ast.FuncCall):
        return "", ""
    *schema, name = [part.sval or "" for part in node.funcname or () if isinstance(part, ast.String)]
    if schema not in ([], ["pg_catalog"]):
        return "", ""
    count = len(node.args or ())
    if name in _PATH_CALLS:
        return f"{name}(), which follows the search_path of the capture function", _PATH_HELP
    if _ROLE_CALLS.get(name) == count:
        return (
            f"{name}() of {count} arguments, which asks for the owner of the capture function",
            "name the role as its first argument: session_user, or current_setting('role')",
        )
    setting = _read_setting(node) if name == "current_setting" else ""
    if setting in _SETTINGS:
        return (
            f"the setting {setting}, which the capture function sets itself",
            _PATH_HELP
            if setting == "search_path"
            else "let the application set one of its own: current_setting('app.zone', true)",
        )
    return "", ""


def _read_setting(node: ast.FuncCall) -> str:
    """The setting that a call of current_setting names as a literal, perhaps with a cast."""
    value = node.args[0] if node.args else None
    if isinstance(value, ast.TypeCast):
        value = value.arg
    text = value.val if isinstance(value, ast.A_Const) else None
    return (text.sval or "").lower() if isinstance(text, ast.String) else ""
