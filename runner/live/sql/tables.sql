-- One row per table that a glob could match or that inherits from one; relation.sql replaces the braces.
with relation as (
    {relation}
)
select relation.nspname as schema,
       relation.relname as name,
       case relation.relkind when 'r' then 'table' else 'partitioned' end as kind,
       (
           select jsonb_build_array(n.nspname, c.relname)
           from pg_catalog.pg_inherits i
           join pg_catalog.pg_class c on c.oid = i.inhparent
           join pg_catalog.pg_namespace n on n.oid = c.relnamespace
           where i.inhrelid = relation.oid and relation.relispartition
       ) as partition_of,
       coalesce((
           select jsonb_agg(jsonb_build_array(n.nspname, c.relname) order by n.nspname, c.relname)
           from pg_catalog.pg_inherits i
           join pg_catalog.pg_class c on c.oid = i.inhrelid and not c.relispartition
           join pg_catalog.pg_namespace n on n.oid = c.relnamespace
           where i.inhparent = relation.oid
       ), '[]') as inherited_by
from relation
where relation.relkind in ('r', 'p')
order by relation.nspname collate "C", relation.relname collate "C"
