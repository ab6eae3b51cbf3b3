SELECT hypertable.schema_name::text, hypertable.table_name::text, chunk.schema_name::text, chunk.table_name::text
FROM _timescaledb_catalog.hypertable AS hypertable
LEFT JOIN _timescaledb_catalog.chunk AS chunk ON chunk.hypertable_id = hypertable.id
