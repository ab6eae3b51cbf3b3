"""Names that `init` knows: bookkeeping tables of migration tools, and columns that look secret."""

from __future__ import annotations

import re

from changelane.contract.catalog import Table

_BOOKKEEPING = {
    *("schema_migrations", "ar_internal_metadata", "alembic_version", "django_migrations"),
    *("flyway_schema_history", "schema_version", "databasechangelog", "databasechangeloglock"),
    *("knex_migrations", "knex_migrations_lock", "_prisma_migrations", "sequelizemeta", "sequelizedata"),
    *("typeorm_metadata", "typeorm_migrations", "mikro_orm_migrations", "kysely_migration"),
    *("kysely_migration_lock", "__drizzle_migrations", "pgmigrations", "__efmigrationshistory"),
    *("goose_db_version", "gorp_migrations", "_sqlx_migrations", "__diesel_schema_migrations"),
    *("refinery_schema_history", "seaql_migrations", "doctrine_migration_versions", "migration_versions"),
    *("phinxlog", "atlas_schema_revisions", "yoyo_migrations", "_yoyo_migration", "_yoyo_log"),
    *("_yoyo_version", "yoyo_lock", "bun_migrations", "bun_migration_locks", "spatial_ref_sys"),
}  # fmt: skip
"""Lower-case names of tables in which a tool records its own work."""

_SECRET = re.compile(
    r"passw(or)?d|passphrase|passcode|secret|token|credential|(api|private|access|encryption|signing)_?key"
    r"|recovery_?code|social_?security|card_?number|credit_?card|iban|totp"
    r"|(^|_)(pwd|salt|otp|mfa|ssn|cvv|cvc|pin)($|_)",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"boolean|date|time|interval")
"""Types of columns that say when or whether, as `password_changed_at` does."""


def is_bookkeeping(table: Table) -> bool:
    return table.name.lower() in _BOOKKEEPING


def find_secrets(table: Table) -> list[str]:
    """Names of columns that look as if they hold a secret, in table order."""
    return [
        column.name
        for column in table.columns
        if _SECRET.search(column.name) and not _HARMLESS.match(column.type)
    ]
