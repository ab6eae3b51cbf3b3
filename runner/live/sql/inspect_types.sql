-- One row for each object outside pg_catalog that compares or computes the columns' types.
with recursive relation as (
    select c.oid, c.relowner
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p')
      and c.relpersistence <> 't'
      and n.nspname not in ('information_schema', 'pgmq', 'pgmq_public', 'changelane')
      and n.nspname !~ '^pg_'
      and not exists (
          select from pg_catalog.pg_depend d
          where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
      )
),
-- The types of columns and the types in them. For an array, its element's type.
part as (
    select distinct a.atttypid as oid
    from pg_catalog.pg_attribute a
    join relation on relation.oid = a.attrelid
    where a.attnum > 0 and not a.attisdropped
    union
    select inner_type.oid
    from part
    join pg_catalog.pg_type t on t.oid = part.oid
    cross join lateral (
        select t.typbasetype where t.typtype = 'd'
        union all
        select t.typelem where t.typsubscript = 'pg_catalog.array_subscript_handler'::regproc
        union all
        select a.atttypid from pg_catalog.pg_attribute a
        where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
        union all
        select r.rngsubtype from pg_catalog.pg_range r where t.oid in (r.rngtypid, r.rngmultitypid)
    ) as inner_type (oid)
),
-- Every type by its name in the generator; `core` is the element's type of an array.
named as (
    select t.oid, core.oid as core,
           case when core.nspname = 'pg_catalog' then core.typname else core.nspname || '.' || core.typname end
               || case when core.oid <> t.oid then '[]' else '' end as name,
           core.nspname = 'pg_catalog' and core.typtype in ('b', 'r', 'm', 'p')
               and core.typname not in ('internal', 'cstring', 'trigger', 'event_trigger') as builtin
    from pg_catalog.pg_type t
    cross join lateral (
        select c.oid, c.typname, c.typtype, n.nspname
        from pg_catalog.pg_type c
        join pg_catalog.pg_namespace n on n.oid = c.typnamespace
        where c.oid = case
            when t.typsubscript = 'pg_catalog.array_subscript_handler'::regproc then t.typelem else t.oid
        end
    ) as core
),
own as (
    select distinct named.core
    from part
    join named on named.oid = part.oid
    where not named.builtin
),
-- And the types that their operators need, such as lquery for ltree.
met as (
    select core from own
    union
    select other.core
    from pg_catalog.pg_operator o
    cross join lateral (values (o.oprleft, o.oprright), (o.oprright, o.oprleft)) as pair (one, two)
    join named on named.oid = pair.one
    join own on own.core = named.core
    join named other on other.oid = pair.two
    where not other.builtin
),
known as (
    select named.oid, named.name, met.core is not null as met
    from named
    left join met using (core)
    where named.builtin or met.core is not null
),
type as (
    select n.nspname as schema, t.typname as name,
           case t.typtype when 'd' then 'domain' when 'e' then 'enum' when 'c' then 'composite'
               when 'r' then 'range' when 'm' then 'multirange' else 'base' end as kind,
           coalesce(base.name, subtype.name, '') as "of",
           t.typcategory::text as category,
           t.typispreferred as preferred,
           coalesce((
               select jsonb_agg(jsonb_build_array(a.attname, field.name) order by a.attnum)
               from pg_catalog.pg_attribute a
               join named field on field.oid = a.atttypid
               where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
           ), '[]') as fields
    from met
    join pg_catalog.pg_type t on t.oid = met.core
    join pg_catalog.pg_namespace n on n.oid = t.typnamespace
    left join named base on base.oid = t.typbasetype
    left join pg_catalog.pg_range r on t.oid in (r.rngtypid, r.rngmultitypid)
    left join named subtype on subtype.oid = r.rngsubtype
    where n.nspname <> 'pg_catalog'
),
implicit as (
    select source.name as source, target.name as target
    from pg_catalog.pg_cast c
    join known source on source.oid = c.castsource
    join known target on target.oid = c.casttarget
    where c.castcontext = 'i' and (source.met or target.met)
),
-- Without objects of the system, or of a session.
foreign_schema as (
    select n.oid, n.nspname
    from pg_catalog.pg_namespace n
    where n.nspname not in ('information_schema', 'pgmq', 'pgmq_public', 'changelane') and n.nspname !~ '^pg_'
),
foreign_operator as (
    select n.nspname as schema, o.oprname as name, o.oprleft <> 0 as infix,
           leftside.name as left, rightside.name as right, result.name as result
    from pg_catalog.pg_operator o
    join foreign_schema n on n.oid = o.oprnamespace
    left join known leftside on leftside.oid = o.oprleft
    left join known rightside on rightside.oid = o.oprright
    left join named result on result.oid = o.oprresult
    where o.oprcode <> 0
),
foreign_function as (
    select n.nspname as schema, p.proname as name, arguments.names, result.name as result,
           p.provariadic <> 0 as "variadic", p.pronargdefaults as defaults,
           arguments.known = p.pronargs as whole,
           coalesce(arguments.met, false) or coalesce(known_result.met, false) as met,
           exists (
               select from pg_catalog.pg_proc other
               where other.pronamespace = 'pg_catalog'::regnamespace and other.proname = p.proname
           ) as overloads
    from pg_catalog.pg_proc p
    join foreign_schema n on n.oid = p.pronamespace
    join named result on result.oid = p.prorettype
    left join known known_result on known_result.oid = p.prorettype
    cross join lateral (
        select coalesce(jsonb_agg(known.name order by position), '[]') as names, count(known.oid) as known,
               bool_or(known.met) as met
        from unnest(p.proargtypes) with ordinality as argument (oid, position)
        left join known on known.oid = argument.oid
    ) as arguments
    where p.prokind = 'f'
      and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype)
),
-- The search_path of ordinary sessions of the tables' owners: from the first of role in database, role,
-- database, all, server default.
owner as (
    select distinct relowner as oid from relation
),
path as (
    select owner.oid,
           coalesce((
               select substr(setting, length('search_path=') + 1)
               from pg_catalog.pg_db_role_setting s
               cross join lateral unnest(s.setconfig) as setting
               where starts_with(setting, 'search_path=')
                 and s.setrole in (owner.oid, 0)
                 and s.setdatabase in ((select d.oid from pg_catalog.pg_database d where d.datname = current_database()), 0)
               order by s.setrole <> 0 desc, s.setdatabase <> 0 desc
               limit 1
           ), (select boot_val from pg_catalog.pg_settings where name = 'search_path')) as setting
    from owner
),
looked as (
    select path.oid,
           coalesce(jsonb_agg(n.nspname order by position) filter (where n.oid is not null), '[]') as schemas
    from path
    left join lateral regexp_matches(path.setting, '"((?:[^"]|"")*)"|([^,[:space:]"]+)', 'g')
        with ordinality as part (words, position) on true
    left join pg_catalog.pg_roles r on r.oid = path.oid
    left join pg_catalog.pg_namespace n
        on n.nspname = case coalesce(replace(words[1], '""', '"'), lower(words[2]))
            when '$user' then r.rolname else coalesce(replace(words[1], '""', '"'), lower(words[2]))
        end
        and has_schema_privilege(path.oid, n.oid, 'USAGE')
    group by path.oid
)
select coalesce((select jsonb_agg(distinct schemas) from looked), '[]') as paths,
       coalesce((select jsonb_agg(type order by schema collate "C", name collate "C") from type), '[]') as types,
       coalesce((select jsonb_agg(implicit order by source collate "C", target collate "C") from implicit), '[]') as casts,
       coalesce((
           select jsonb_agg(jsonb_build_object(
                      'schema', schema, 'name', name, 'result', result,
                      'arguments', case when infix then jsonb_build_array(o.left, o.right) else jsonb_build_array(o.right) end
                  ) order by schema collate "C", name collate "C", o.left collate "C", o.right collate "C")
           from foreign_operator o
           where o.right is not null and (o.left is not null or not infix)
       ), '[]') as operators,
       coalesce((
           select jsonb_agg(jsonb_build_object(
                      'schema', schema, 'name', name, 'result', result, 'arguments', names,
                      'variadic', f.variadic, 'defaults', f.defaults
                  ) order by schema collate "C", name collate "C", names)
           from foreign_function f
           where whole and (met or overloads)
       ), '[]') as functions,
       jsonb_build_object(
           'operators', coalesce((
               select jsonb_agg(distinct name) from foreign_operator o
               where o.right is null or infix and o.left is null
           ), '[]'),
           'functions', coalesce((
               select jsonb_agg(distinct name) from foreign_function where overloads and not whole
           ), '[]')
       ) as unlisted
