-- The relations that a spec could name, rightly or by mistake; the latter get an error that says why.
select c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relispartition
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'f', 'v', 'm')
  and c.relpersistence <> 't'
  and n.nspname not in ('information_schema', 'pgmq', 'pgmq_public', 'changelane')
  and n.nspname !~ '^(pg|_timescaledb)_'
  and not exists (
      select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
  )
  -- Templates of new partitions of queues.
  and not (
      c.relname ~ '^template_pgmq_'
      and n.oid in (select extnamespace from pg_catalog.pg_extension where extname = 'pg_partman')
  )
