"""Values of every type that messages hold, as SQL."""

from __future__ import annotations

SETUP = (
    "CREATE TYPE mood AS ENUM ('sad', 'it''s \"ok\"', 'glücklich')",
    "CREATE TYPE point3 AS (x int, at timestamptz, raw bytea, f float8[])",
    "CREATE TYPE nested AS (p point3, many point3[], m mood)",
    "CREATE DOMAIN email AS text CHECK (value LIKE '%@%')",
    "CREATE DOMAIN age AS interval",
    "CREATE DOMAIN tags AS text[]",
    "CREATE TYPE spans AS RANGE (subtype = timestamptz)",
    "CREATE TYPE texts AS RANGE (subtype = text)",
)

TYPES: dict[str, list[str]] = {
    "smallint": ["-32768", "32767"],
    "integer": ["-2147483648", "2147483647"],
    "bigint": ["-9223372036854775808", "9223372036854775807"],
    "numeric": [
        "'123456789012345678901234567890.123456789012345678901234567890'",
        "'NaN'", "'Infinity'", "'-Infinity'", "'1.50'", "'1e-1000'", "'1e1000'", "'0.000'",
        "'-' || repeat('9', 131072) || '.' || repeat('1', 16383)",
    ],
    "numeric(12,3)": ["1.5", "-0.001"],
    "real": ["'NaN'", "'Infinity'", "'-Infinity'", "'1e-45'", "'3.4028235e38'", "'0.1'", "'16777217'"],
    "double precision": [
        "'NaN'", "'Infinity'", "'-Infinity'", "'4.9e-324'", "'1.7976931348623157e308'", "'0.1'", "pi()",
    ],
    "money": ["'-92233720368547758.08'", "12.34"],
    "boolean": ["true", "false"],
    "text": [
        "''", "' '", "'null'", "E'tab\\t quote\" back\\\\slash \\u0001 \\u007f'", "'ÄÖ 日本 😀 𝔘 \U0010ffff'",
        "repeat('x', 200000)", r"'\u0000'",
    ],
    "varchar(10)": ["'abc'"],
    "char(5)": ["'ab'"],
    '"char"': ["'x'"],
    "name": ["'name'"],
    "bytea": [r"'\x'", r"'\x00ff5c27'", "decode(repeat('00ff', 50000), 'hex')"],
    "jsonb": [
        "'true'", "'1.50'", "'\"x\"'", "'[]'", "'{\"b\":[1,{\"c\":null}],\"a\":1e400}'",
        "'12345678901234567890123'",
    ],
    "json": ["'{\"a\":[1,2.50,\"\\ud83d\\ude00\",\"\\\\u0000\"]}'", "'[1e999]'"],
    "integer[]": ["'{}'", "'{1,NULL,3}'", "'{{1,2},{3,4}}'", "'{{{1},{2}}}'"],
    "text[]": ["'{a,\"b,c\",NULL,\"\",\"NULL\"}'"],
    "bytea[]": [r"ARRAY['\x00'::bytea, '\xff'::bytea]"],
    "interval[]": ["ARRAY['1 day'::interval, '-1 mon'::interval]"],
    "float8[]": ["ARRAY[0.1::float8, 'NaN'::float8]"],
    "mood": ["'sad'", "'it''s \"ok\"'", "'glücklich'"],
    "mood[]": ["'{sad,glücklich}'"],
    "point3": [r"ROW(1, '2020-01-01 12:00+05', '\x00ff', '{0.1}')", "ROW(NULL, 'infinity', NULL, NULL)"],
    "point3[]": [r"ARRAY[ROW(1, '2020-01-01 12:00+05', '\x00ff', '{0.1}')::point3]"],
    "nested": [r"ROW(ROW(1, 'now', '\x00', '{}'), ARRAY[ROW(2, 'now', '\xff', NULL)::point3], 'sad')"],
    "email": ["'a@b'"],
    "age": ["'-1 year 2 days 03:04:05.000006'"],
    "tags": ["'{a,b}'"],
    "int4range": ["'empty'", "'[1,5)'", "'(,5)'", "'(,)'"],
    "numrange": ["'[1.50,2.50]'"],
    "tsrange": ["'[2020-02-01 10:00,2020-03-01)'", "'(,infinity]'"],
    "tstzrange": ["'[2020-02-01 10:00+00,2020-03-01 00:00+00)'"],
    "daterange": ["'[2020-02-01,2020-03-04)'"],
    "int4multirange": ["'{[1,3),[5,7)}'", "'{}'"],
    "tstzmultirange": ["'{[2020-02-01 10:00+00,2020-03-01 00:00+00)}'"],
    "datemultirange": ["'{[2020-02-01,2020-03-04)}'"],
    "spans": ["'[2020-02-01 10:00+00,2020-03-01 00:00+00)'"],
    "texts": ["'[a,\"b,c\"]'"],
    "date": [
        "'2020-02-03'", "'0044-03-15 BC'", "'infinity'", "'-infinity'", "'5874897-12-31'", "'4713-01-01 BC'",
    ],
    "time": ["'00:00:00'", "'24:00:00'", "'12:34:56.789012'"],
    "timetz": ["'12:00:00+05:30'", "'12:34:56.789012-12'"],
    "timestamp": [
        "'2020-02-03 04:05:06.789012'", "'0044-03-15 12:00:00 BC'", "'infinity'", "'-infinity'",
        "'294276-12-31 23:59:59.999999'",
    ],
    "timestamp(0)": ["'2020-02-03 04:05:06'"],
    "timestamptz": [
        "'2020-02-03 04:05:06.789012+05:45'", "'0044-03-15 12:00:00+00 BC'", "'infinity'", "'-infinity'",
        "'294276-12-31 23:59:59.999999+00'", "'1880-01-01 00:00:00 Europe/Amsterdam'",
    ],
    "interval": [
        "'1 year 2 mons -3 days 04:05:06.789012'", "'-178000000 years'", "'00:00:00'", "'-00:00:00.000001'",
    ],
    "interval day to second(2)": ["'1 02:03:04.05'"],
    "uuid": ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"],
    "inet": ["'192.168.0.1'", "'192.168.0.1/24'", "'::ffff:1.2.3.4'", "'2001:db8::/32'"],
    "cidr": ["'10.0.0.0/8'"],
    "macaddr": ["'08:00:2b:01:02:03'"],
    "macaddr8": ["'08:00:2b:01:02:03:04:05'"],
    "bit(5)": ["B'10101'"],
    "bit varying": ["B''", "B'101'", "repeat('10', 50000)::bit varying"],
    "tsvector": ["to_tsvector('simple', 'a fat cat''s \\ mat')", "''"],
    "tsquery": ["'fat & (rat | !cat:ab)'"],
    "xml": ["'<a b=\"c\">&lt;d/&gt;</a>'"],
    "point": ["'(1.5,-0.1)'", "'(NaN,Infinity)'"],
    "line": ["'{1,2,3}'"],
    "lseg": ["'[(0,0),(1,0.1)]'"],
    "box": ["'(1,1),(0,0.1)'"],
    "path": ["'[(0,0),(1,0.1)]'", "'((0,0),(1,1))'"],
    "polygon": ["'((0,0),(1,1),(0.1,1))'"],
    "circle": ["'<(0.1,0),5>'"],
    "oid": ["4294967295"],
    "regclass": ["'app.source'", "'pg_class'"],
    "pg_lsn": ["'16/B374D848'"],
    "xid8": ["'18446744073709551615'"],
    "pg_snapshot": ["'10:20:10,14,15'"],
    "jsonpath": ["'$.a[*] ? (@.b > 1)'"],
}  # fmt: skip

CONTRIB = {
    "citext": (["'MixedCase'"], "citext"),
    "citext[]": (["'{A,b}'"], "citext"),
    "ltree": (["'Top.Science.Astronomy'", "''"], "ltree"),
    "cube": (["'(1,0.1)'"], "cube"),
}

CHANGING = ("'now'", "repeat(", "app.source", r"\\u0000", "1e999", "1e1000", "1e-1000", "1e400")
"""Values with these parts differ in each run, or are too long or too odd for a golden file."""


def list_short() -> dict[str, list[str]]:
    """The types whose values are short and always the same, with the first and the last such value."""
    contrib = {name: values for name, (values, _) in CONTRIB.items()}
    found = {
        name: [value for value in values if not any(part in value for part in CHANGING)]
        for name, values in {**TYPES, **contrib, "hstore": ["'a=>1, \"b c\"=>NULL'"]}.items()
        # Not every server has it.
        if name != "xml"
    }
    return {name: [values[0], values[-1]] for name, values in found.items() if values}
