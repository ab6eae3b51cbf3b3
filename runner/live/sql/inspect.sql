-- One row per relation of relation.sql, whose text replaces the braces.
with recursive relation as (
    {relation}
),
attribute as (
    select a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attgenerated, a.attnotnull
    from pg_catalog.pg_attribute a
    join relation on relation.oid = a.attrelid
    where a.attnum > 0 and not a.attisdropped
),
-- The types that a type contains, through domains, arrays, composites and ranges.
part as (
    select distinct atttypid as whole, atttypid as type from attribute
    union
    select part.whole, inner_type.oid
    from part
    join pg_catalog.pg_type t on t.oid = part.type
    cross join lateral (
        select t.typbasetype where t.typtype = 'd'
        union all
        select t.typelem where t.typsubscript = 'pg_catalog.array_subscript_handler'::regproc
        union all
        select a.atttypid from pg_catalog.pg_attribute a
        where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
        union all
        select r.rngsubtype from pg_catalog.pg_range r
        where t.oid in (r.rngtypid, r.rngmultitypid)
    ) as inner_type (oid)
),
atoms as (
    select part.whole,
           jsonb_agg(
               distinct case
                   when t.typsubscript = 'pg_catalog.array_subscript_handler'::regproc then 'array'
                   when t.typtype = 'e' then 'enum'
                   when n.nspname = 'pg_catalog' then t.typname
                   else n.nspname || '.' || t.typname
               end
           ) as names
    from part
    join pg_catalog.pg_type t on t.oid = part.type
    join pg_catalog.pg_namespace n on n.oid = t.typnamespace
    where t.typtype in ('b', 'e', 'r', 'm')
    group by part.whole
),
parent as (
    select i.inhrelid, i.inhparent, i.inhseqno, n.nspname, c.relname
    from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhparent
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
)
select relation.nspname as schema,
       relation.relname as name,
       case relation.relkind
           when 'r' then 'table' when 'p' then 'partitioned' when 'f' then 'foreign'
           when 'v' then 'view' else 'materialized view'
       end as kind,
       case relation.relpersistence when 'u' then 'unlogged' else 'permanent' end as persistence,
       (
           select jsonb_build_array(parent.nspname, parent.relname) from parent
           where parent.inhrelid = relation.oid and relation.relispartition
       ) as partition_of,
       coalesce((
           select jsonb_agg(jsonb_build_array(parent.nspname, parent.relname) order by parent.inhseqno) from parent
           where parent.inhrelid = relation.oid and not relation.relispartition
       ), '[]') as inherits,
       coalesce((
           select jsonb_agg(jsonb_build_array(n.nspname, c.relname) order by n.nspname, c.relname)
           from pg_catalog.pg_inherits i
           join pg_catalog.pg_class c on c.oid = i.inhrelid and not c.relispartition
           join pg_catalog.pg_namespace n on n.oid = c.relnamespace
           where i.inhparent = relation.oid
       ), '[]') as inherited_by,
       coalesce((
           select jsonb_agg(a.attname order by key.position)
           from pg_catalog.pg_index x
           cross join lateral unnest(x.indkey::int2[]) with ordinality as key (attnum, position)
           join pg_catalog.pg_attribute a on a.attrelid = x.indrelid and a.attnum = key.attnum
           where x.indrelid = relation.oid and x.indisprimary and key.position <= x.indnkeyatts
       ), '[]') as primary_key,
       coalesce((
           select jsonb_agg(jsonb_build_object(
                      'name', a.attname,
                      'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
                      'atoms', coalesce(atoms.names, '[]'),
                      'generated', case a.attgenerated when 's' then 'stored' when 'v' then 'virtual' else '' end,
                      'nullable', not a.attnotnull
                  ) order by a.attnum)
           from attribute a
           left join atoms on atoms.whole = a.atttypid
           where a.attrelid = relation.oid
       ), '[]') as columns
from relation
order by relation.nspname collate "C", relation.relname collate "C"
