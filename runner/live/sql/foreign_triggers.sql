-- The triggers and the actions of foreign keys that fire on each table, less those of Changelane: one row per trigger.
-- A partition's own trigger fires on the rows of its parents, too, so it is listed for each of these.
with recursive source as (
    select p.oid, l.lanname,
           case when l.lanname = 'plpgsql' then regexp_replace(
               lower(p.prosrc),
               '--[^\n]*|/\*([^*]|\*[^/])*\*/|''([^'']|'''')*''|\mperform\s+(pg_catalog\.)?pg_notify\M', ' ', 'g'
           ) end as body
    from pg_catalog.pg_proc p
    join pg_catalog.pg_language l on l.oid = p.prolang
    where p.oid in (select tgfoid from pg_catalog.pg_trigger where not tgisinternal)
),
-- What a function may write: null where its text does not say, else the tables that it names beside a verb.
written as (
    select source.oid,
           case
               when lanname = 'internal' or lanname = 'c' and exists (
                   select from pg_catalog.pg_depend d
                   where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = source.oid and d.deptype = 'e'
               ) then '{}'
               when lanname <> 'plpgsql' or body ~ '\m(execute|call|perform)\M' then null
               when body ~ '\m(insert|update|delete|merge|truncate)\M' then array(
                   select distinct c.relname::text
                   from regexp_split_to_table(body, '[^[:alnum:]_$]+') as word
                   join pg_catalog.pg_class c on lower(c.relname) = word and c.relkind in ('r', 'p', 'v', 'f')
               )
               else '{}'
           end as tables
    from source
),
place as (
    select c.oid, c.oid as relation from pg_catalog.pg_class c where c.relkind in ('r', 'p')
    union all
    select i.inhparent, place.relation
    from place
    join pg_catalog.pg_inherits i on i.inhrelid = place.oid
    join pg_catalog.pg_class c on c.oid = i.inhrelid and c.relispartition
)
select n.nspname::text as schema,
       c.relname::text as table,
       t.tgname::text as name,
       case when t.tgtype & 2 = 2 then 'before' else 'after' end as timing,
       case when t.tgtype & 1 = 1 then 'row' else 'statement' end as level,
       array_remove(array[
           case when t.tgtype & 4 <> 0 then 'insert' end, case when t.tgtype & 16 <> 0 then 'update' end,
           case when t.tgtype & 8 <> 0 then 'delete' end, case when t.tgtype & 32 <> 0 then 'truncate' end
       ], null) as events,
       case t.tgenabled when 'O' then 'origin' when 'A' then 'always' when 'R' then 'replica' else 'disabled' end
           as enabled,
       case when t.tginitdeferred then 'deferred' when t.tgdeferrable then 'immediate' else '' end as deferrable,
       null::text[] as changes,
       written.tables as writes
from place
join pg_catalog.pg_class c on c.oid = place.oid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_trigger t on t.tgrelid = place.relation and (t.tgparentid = 0 or place.oid = place.relation)
join pg_catalog.pg_proc p on p.oid = t.tgfoid
join pg_catalog.pg_namespace f on f.oid = p.pronamespace
join written on written.oid = p.oid
where not t.tgisinternal and t.tgtype & 64 = 0 and f.nspname <> 'changelane'
group by n.nspname, c.relname, t.tgname, t.tgtype, t.tgenabled, t.tginitdeferred, t.tgdeferrable, written.tables
union all
select n.nspname, c.relname, k.conname, 'after', 'row',
       array_remove(array[
           case when k.confupdtype in ('c', 'n', 'd') then 'update' end,
           case when k.confdeltype in ('c', 'n', 'd') then 'delete' end
       ], null),
       'origin', '', array[other_n.nspname::text, other.relname::text], array[other.relname::text]
from pg_catalog.pg_constraint k
join pg_catalog.pg_class c on c.oid = k.confrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_class other on other.oid = k.conrelid
join pg_catalog.pg_namespace other_n on other_n.oid = other.relnamespace
where k.contype = 'f' and k.conparentid = 0 and (k.confupdtype in ('c', 'n', 'd') or k.confdeltype in ('c', 'n', 'd'))
order by 1, 2, 3, 4, 5, 6
