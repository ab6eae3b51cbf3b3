-- The triggers and foreign-key actions that fire on each table, without those of Changelane: one row per
-- trigger. A partition's own trigger fires on the rows of its parents, too, so it is listed for each of
-- these.
with recursive edge as (
    -- Each function of a trigger, the functions that its text names, and so on.
    select null::oid as caller, t.tgfoid as callee
    from pg_catalog.pg_trigger t
    join pg_catalog.pg_proc p on p.oid = t.tgfoid
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where not t.tgisinternal and n.nspname <> 'changelane'
    union
    select text.oid, called.oid
    from (
        select p.oid, body, regexp_split_to_array(body, '[^a-z0-9_]+') as words
        from edge
        join pg_catalog.pg_proc p on p.oid = edge.callee
        join pg_catalog.pg_language l on l.oid = p.prolang and l.lanname in ('plpgsql', 'sql')
        cross join lateral lower(coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc)) as body
        offset 0
    ) as text
    join pg_catalog.pg_proc called on case
        when called.proname ~ '^[a-z0-9_]+$' then called.proname = any (words)
        else strpos(body, replace(lower(called.proname), '"', '""')) > 0
    end
    join pg_catalog.pg_namespace n on n.oid = called.pronamespace
    where called.prorettype <> 'pg_catalog.trigger'::regtype
        and n.nspname not in ('pg_catalog', 'information_schema', 'pgmq', 'changelane')
),
source as materialized (
    select p.oid,
           l.lanname = 'internal' or l.lanname = 'c' and exists (
               select from pg_catalog.pg_depend d
               where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
           ) as writes_nothing,
           case
               when l.lanname not in ('plpgsql', 'sql') then null
               -- A text with escapes or dollar quotes is not parsed.
               when text ~ '\\|\$[a-z0-9_]*\$' then text
               else regexp_replace(
                   text, '("([^"]|"")*")|--[^\n]*|/\*([^*]|\*[^/])*\*/|''([^'']|'''')*''', ' \1 ', 'g'
               )
           end as body
    from (select distinct callee from edge) as known
    join pg_catalog.pg_proc p on p.oid = known.callee
    join pg_catalog.pg_language l on l.oid = p.prolang
    cross join lateral lower(coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc)) as text
),
relation as materialized (
    -- Writes through a view or a rule are not followed.
    select c.relname::text as name, c.relkind = 'v' or exists (
               select from pg_catalog.pg_rewrite w where w.ev_class = c.oid and w.ev_type <> '1'
           ) as redirects
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'f') and n.nspname not in ('pg_catalog', 'information_schema')
),
-- The tables that a function itself may write: those that its text names, null if the text does not tell.
own as materialized (
    select source.oid,
           case
               when writes_nothing then '{}'
               when body is null or body ~ '\mexecute\M|\mu&"' then null
               when body !~ '\m(insert|update|delete|merge|truncate|copy)\M' then '{}'
               else (
                   select case when not coalesce(bool_or(redirects), false) then
                              coalesce(array_agg(distinct name), '{}')
                          end
                   from (select regexp_split_to_array(body, '[^a-z0-9_]+') as words offset 0) as text
                   join relation on case
                       when name ~ '^[a-z0-9_]+$' then name = any (words)
                       else strpos(body, replace(lower(name), '"', '""')) > 0
                   end
               )
           end as tables
    from source
),
reach as materialized (
    select callee as root, callee as oid from edge where caller is null
    union
    select reach.root, edge.callee from reach join edge on edge.caller = reach.oid
),
-- The tables written by a function or by any function that it calls.
written as materialized (
    select reach.root as oid,
           case when bool_and(own.tables is not null) then
               array_remove(array_agg(distinct name), null)
           end as tables
    from reach
    join own on own.oid = reach.oid
    left join lateral unnest(own.tables) as name on true
    group by reach.root
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
-- PostgreSQL 14 marks a parent's trigger on its partition as internal, as it does its own checks of keys.
where (not t.tgisinternal or t.tgparentid <> 0 and f.nspname <> 'pg_catalog')
    and t.tgtype & 64 = 0 and f.nspname <> 'changelane'
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
