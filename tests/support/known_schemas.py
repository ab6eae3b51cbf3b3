"""Schemas like those of well-known applications, built from descriptions of their tables."""

# ruff: noqa: E501 -- a table is a line
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

TYPES = (
    *("text", "integer", "bigint", "boolean", "timestamptz", "numeric(12,2)", "varchar(64)", "jsonb", "date"),
    *("uuid", "double precision", "smallint", "text[]", "interval", "inet", "bytea"),
)
"""The types of a wide table's columns, in turn."""


@dataclass(frozen=True, kw_only=True)
class Schema:
    """``before`` makes types and functions; ``tables`` maps a name, as SQL, to columns, as SQL; ``after`` makes
    what goes on tables. ``capture`` are more keys of the route; ``migrations`` what happens to it later.
    """

    name: str
    before: str = ""
    tables: Mapping[str, str] = field(default_factory=dict)
    after: str = ""
    capture: str = ""
    migrations: Sequence[str] = ()

    def create(self) -> Iterator[str]:
        if self.before:
            yield self.before
        for name, columns in self.tables.items():
            body, _, tail = columns.partition(" | ")
            yield f"CREATE TABLE app.{name} ({body}) {tail}"
        if self.after:
            yield self.after


def widen(count: int, *, first: int = 0, prefix: str = "f") -> str:
    """So many columns."""
    return ", ".join(f"{prefix}{number} {TYPES[(number + first) % len(TYPES)]}" for number in range(count))


def _music() -> Schema:
    entities = ("area", "artist", "event", "label", "place", "recording", "release", "series", "url", "work")
    tables = {}
    for place, entity in enumerate(entities):
        tables[entity] = (
            f"id serial PRIMARY KEY, gid uuid NOT NULL, name app.title NOT NULL, edits_pending int NOT NULL DEFAULT 0"
            f" CHECK (edits_pending >= 0), ended boolean NOT NULL DEFAULT false, {widen(place + 3, first=place)}"
        )
        tables[f"{entity}_alias"] = (
            f"id serial PRIMARY KEY, {entity} int NOT NULL, name app.title NOT NULL, locale text, kind app.alias_kind"
        )
        tables[f"{entity}_tag"] = f"{entity} int, tag int, count int NOT NULL, PRIMARY KEY ({entity}, tag)"
        tables[f"{entity}_gid_redirect"] = (
            "gid uuid PRIMARY KEY, new_id int NOT NULL, created timestamptz DEFAULT now()"
        )
    for one in entities[:5]:
        for other in entities[5:]:
            tables[f"l_{one}_{other}"] = (
                "id serial PRIMARY KEY, link int NOT NULL, entity0 int NOT NULL, entity1 int NOT NULL,"
                " edits_pending int NOT NULL DEFAULT 0, last_updated timestamptz DEFAULT now()"
            )
    touch = "".join(
        f"CREATE TRIGGER b_upd_{name} BEFORE UPDATE ON app.{name} FOR EACH ROW EXECUTE FUNCTION app.touch_edits();"
        for name in entities
    )
    return Schema(
        name="music",
        before="""
            CREATE DOMAIN app.title AS varchar CHECK (value <> '');
            CREATE TYPE app.alias_kind AS ENUM ('artist name', 'legal name', 'search hint');
            CREATE FUNCTION app.touch_edits() RETURNS trigger LANGUAGE plpgsql
                AS 'BEGIN NEW.edits_pending := abs(NEW.edits_pending); RETURN NEW; END';
        """,
        tables=tables,
        after=touch,
        migrations=[
            "ALTER TABLE app.artist ADD COLUMN disambiguation text NOT NULL DEFAULT ''",
            "ALTER TABLE app.work ALTER COLUMN edits_pending TYPE bigint",
            "ALTER TABLE app.area RENAME COLUMN f0 TO begin_note",
            "ALTER TABLE app.l_area_url DROP COLUMN edits_pending",
            "ALTER TYPE app.alias_kind RENAME VALUE 'search hint' TO 'hint'",
            "CREATE TABLE app.mood (id serial PRIMARY KEY, name app.title NOT NULL)",
        ],
    )


def _forum() -> Schema:
    return Schema(
        name="forum",
        before="""
            CREATE EXTENSION citext SCHEMA public;
            CREATE EXTENSION ltree SCHEMA public;
            CREATE DOMAIN app.handle AS citext CHECK (value ~ '^[a-z]');
            CREATE TYPE app.visibility AS ENUM ('public', 'unlisted', 'hidden');
        """,
        tables={
            "person": "id serial PRIMARY KEY, name app.handle NOT NULL, email citext, bio text, banned boolean DEFAULT false,"
            " settings jsonb NOT NULL DEFAULT '{}'",
            "community": "id serial PRIMARY KEY, name citext NOT NULL, visibility app.visibility DEFAULT 'public', posts int DEFAULT 0",
            "post": "id serial PRIMARY KEY, community_id int, creator_id int, name text NOT NULL, url text, body text, score int DEFAULT 0,"
            " published timestamptz NOT NULL DEFAULT now()",
            "comment": "id serial PRIMARY KEY, post_id int, content text NOT NULL, path ltree NOT NULL DEFAULT '0'",
            "comment_like": "person_id int, comment_id int, score smallint NOT NULL, PRIMARY KEY (person_id, comment_id)",
            "mod_log": "person_id int, what text, at timestamptz DEFAULT now()",
            "tag": "name citext PRIMARY KEY, uses bigint DEFAULT 0",
        },
        after="""
            CREATE FUNCTION app.set_path() RETURNS trigger LANGUAGE plpgsql
                AS 'BEGIN NEW.path := text2ltree(''0.'' || NEW.id); RETURN NEW; END';
            CREATE TRIGGER a_set_path BEFORE INSERT ON app.comment FOR EACH ROW EXECUTE FUNCTION app.set_path();
            CREATE FUNCTION app.count_posts() RETURNS trigger LANGUAGE plpgsql
                AS 'BEGIN UPDATE app.community SET posts = posts + 1 WHERE id = NEW.community_id; RETURN NULL; END';
            CREATE TRIGGER z_count AFTER INSERT ON app.post FOR EACH ROW EXECUTE FUNCTION app.count_posts();
        """,
        migrations=[
            "ALTER TABLE app.person ALTER COLUMN bio TYPE citext",
            "ALTER TABLE app.comment_like RENAME TO comment_vote",
            "ALTER TYPE app.visibility ADD VALUE 'local'",
            "ALTER TABLE app.mod_log ADD PRIMARY KEY (at)",
            "DROP TABLE app.tag",
        ],
    )


def _rental() -> Schema:
    parts = "".join(
        f"CREATE TABLE app.payment_{month} PARTITION OF app.payment"
        f" FOR VALUES FROM ('2026-{month:02}-01') TO ('2026-{month + 1:02}-01');"
        for month in range(1, 7)
    )
    return Schema(
        name="rental",
        before="""
            CREATE DOMAIN app.year AS integer CHECK (value BETWEEN 1901 AND 2155);
            CREATE TYPE app.rating AS ENUM ('G', 'PG', 'PG-13', 'R');
            CREATE TYPE app.address AS (street text, city text, zip varchar(10));
        """,
        tables={
            "film": "film_id serial PRIMARY KEY, title text NOT NULL, release_year app.year, rental_rate numeric(4,2) DEFAULT 4.99,"
            " rating app.rating DEFAULT 'G', special_features text[], words tsvector, length smallint",
            "actor": "actor_id serial PRIMARY KEY, first_name text, last_name text, last_update timestamptz DEFAULT now()",
            "film_actor": "actor_id int, film_id int, last_update timestamptz DEFAULT now(), PRIMARY KEY (actor_id, film_id)",
            "customer": "customer_id serial PRIMARY KEY, home app.address, active boolean DEFAULT true, since date,"
            " full_name text GENERATED ALWAYS AS ('c' || customer_id) STORED",
            "payment": "payment_id int, customer_id int, amount numeric(5,2), at date NOT NULL, PRIMARY KEY (at, payment_id)"
            " | PARTITION BY RANGE (at)",
            "stay": "room int, during tstzrange NOT NULL, guest int, PRIMARY KEY (room, during)",
        },
        after=parts
        + """
            CREATE FUNCTION app.index_words() RETURNS trigger LANGUAGE plpgsql
                AS 'BEGIN NEW.words := to_tsvector(''simple'', NEW.title); RETURN NEW; END';
            CREATE TRIGGER words BEFORE INSERT OR UPDATE ON app.film FOR EACH ROW EXECUTE FUNCTION app.index_words();
        """,
        migrations=[
            "CREATE TABLE app.payment_7 PARTITION OF app.payment FOR VALUES FROM ('2026-07-01') TO ('2026-08-01')",
            "ALTER TABLE app.payment DETACH PARTITION app.payment_6",
            "ALTER TYPE app.address ADD ATTRIBUTE country text",
            "ALTER TABLE app.film ALTER COLUMN rental_rate TYPE numeric(8,3)",
            "ALTER TABLE app.customer DROP COLUMN full_name",
        ],
    )


def _suite() -> Schema:
    modules = ("account", "stock", "sale", "crm", "hr", "project")
    tables = {}
    for place, module in enumerate(modules):
        tables[f"{module}_document"] = (
            f"id serial PRIMARY KEY, create_uid int, write_uid int, create_date timestamp, write_date timestamp, name varchar,"
            f" {widen(90 + 30 * (place % 3), first=place)}"
        )
        tables[f"{module}_line"] = (
            f"id serial PRIMARY KEY, document_id int, sequence int, {widen(25, first=place)}"
        )
        tables[f"{module}_document_tag_rel"] = (
            "document_id int NOT NULL, tag_id int NOT NULL, UNIQUE (document_id, tag_id)"
        )
    tables["schema_migrations"] = "version text PRIMARY KEY"
    return Schema(
        name="suite",
        tables=tables,
        capture=', except: ["schema_migrations"]',
        after="CREATE TABLE app.hr_officer (badge text) INHERITS (app.hr_line)",
        migrations=[
            "ALTER TABLE app.sale_document " + ", ".join(f"DROP COLUMN f{number}" for number in range(40)),
            "ALTER TABLE app.stock_line ALTER COLUMN id TYPE bigint, ALTER COLUMN sequence TYPE numeric",
            "ALTER TABLE app.crm_document_tag_rel RENAME TO crm_document_crm_tag_rel",
            "ALTER TABLE app.account_line ADD COLUMN balance numeric GENERATED ALWAYS AS (sequence * 2) STORED",
        ],
    )


def _calendar() -> Schema:
    return Schema(
        name="calendar",
        before="""
            CREATE TYPE app."BookingStatus" AS ENUM ('ACCEPTED', 'PENDING', 'Cancelled');
            CREATE TYPE app."Period Type" AS ENUM ('rolling', 'range');
        """,
        tables={
            '"User"': 'id text PRIMARY KEY, email text NOT NULL, "emailVerified" timestamp(3), metadata jsonb, "select" int DEFAULT 1',
            '"Booking"': 'id serial PRIMARY KEY, uid uuid NOT NULL, "userId" text, "startTime" timestamp(3) NOT NULL,'
            ' status app."BookingStatus" NOT NULL DEFAULT \'ACCEPTED\', "paid?" boolean DEFAULT false',
            '"EventType"': 'id serial PRIMARY KEY, title text, kinds app."BookingStatus"[], period app."Period Type", "length-min" int',
            '"_Team To User"': '"A" int NOT NULL, "B" text NOT NULL, UNIQUE ("A", "B")',
            '"Attendee"': "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \"bookingId\" int, locale varchar(8) DEFAULT 'en'",
            '"Session.Token"': '"tokenHash" bytea PRIMARY KEY, expires timestamptz NOT NULL, ip cidr, span interval',
            '"Größe"': 'id int PRIMARY KEY, größe numeric, "new" text, "old" text, op text',
        },
        migrations=[
            'ALTER TABLE app."User" RENAME COLUMN "emailVerified" TO email_verified',
            "ALTER TYPE app.\"BookingStatus\" RENAME VALUE 'Cancelled' TO 'CANCELLED'",
            'ALTER TABLE app."Attendee" ALTER COLUMN locale TYPE text',
            'ALTER TABLE app."EventType" DROP COLUMN kinds',
            'CREATE TABLE app."Workflow" (id serial PRIMARY KEY, "activeOn" text[])',
        ],
    )


SCHEMAS = (_music(), _forum(), _rental(), _suite(), _calendar())
