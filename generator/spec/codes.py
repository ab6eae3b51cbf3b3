"""The stable codes of diagnostics; a code never gets a second meaning."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """CL0xx: the text as YAML. CL1xx: one key or value. CL2xx: values that contradict each other.
    CL3xx: the spec against the catalog. CL4xx: the spec against the database (``validate --live``).
    """

    SYNTAX = "CL001"
    CHARACTER = "CL002"
    LIMIT = "CL003"
    ALIAS = "CL004"
    YAML_FEATURE = "CL005"
    DUPLICATE_KEY = "CL006"
    KEY_NOT_TEXT = "CL007"
    NOT_A_SPEC = "CL008"
    TOO_MANY = "CL009"

    UNKNOWN_KEY = "CL101"
    MISSING_KEY = "CL102"
    WRONG_TYPE = "CL103"
    BAD_VALUE = "CL104"
    BAD_NAME = "CL105"
    OUT_OF_RANGE = "CL106"
    EMPTY = "CL107"
    REPEATED = "CL108"
    BAD_TABLE = "CL109"
    CRON = "CL110"
    TIMEZONE = "CL111"
    NO_SECRETS = "CL112"

    DUPLICATE_ROUTE = "CL201"
    UNKNOWN_QUEUE = "CL202"
    ONE_OF = "CL203"
    UPDATE_OF = "CL204"
    RETRY = "CL205"
    DEAD_LETTER = "CL206"
    BLOCK = "CL207"
    PARTITION = "CL208"
    ACCESS = "CL209"
    SCHEDULE = "CL215"
    DESTINATION = "CL216"
    RELAY = "CL217"
    TEMPLATE = "CL218"
    HANDLER = "CL219"
    COALESCE = "CL220"
    FAIR = "CL221"
    CLAIM = "CL222"

    NO_TABLE = "CL301"
    NO_COLUMN = "CL302"
    WRONG_KIND = "CL303"
    VIRTUAL_COLUMN = "CL304"
    EXPRESSION = "CL305"
    NO_KEY = "CL306"
    FIRING = "CL307"
    TWICE = "CL308"

    STALE_CATALOG = "CL401"
    PGMQ = "CL402"
    REFUSED = "CL403"
    ENGINE = "CL404"
