-- Of an outbox table: whether it is partitioned; whether other tables inherit from it; each column of its
-- primary key with its type and equality operator; the tables that a delete would reach by a foreign key.
SELECT class.relkind = 'p',
       class.relkind <> 'p' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = class.oid),
       coalesce((
           SELECT json_agg(
               json_build_array(
                   attname, format_type(atttypid, atttypmod), oprnamespace::regnamespace::text, oprname
               )
               ORDER BY position
           )
           FROM pg_index
           CROSS JOIN LATERAL unnest(indkey) WITH ORDINALITY AS part (number, position)
           JOIN pg_attribute ON attrelid = indrelid AND attnum = number
           JOIN pg_opclass ON pg_opclass.oid = indclass[position - 1]
           JOIN pg_am ON pg_am.oid = opcmethod AND amname = 'btree'
           JOIN pg_amop ON amopfamily = opcfamily AND amopstrategy = 3
               AND amoplefttype = opcintype AND amoprighttype = opcintype
           JOIN pg_operator ON pg_operator.oid = amopopr
           WHERE indrelid = class.oid AND indisprimary AND position <= indnkeyatts
       ), '[]'),
       coalesce((
           SELECT json_agg(conrelid::regclass::text ORDER BY conrelid)
           FROM pg_constraint
           WHERE confrelid = class.oid AND contype = 'f' AND confdeltype IN ('c', 'd', 'n')
       ), '[]')
FROM pg_class AS class
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE nspname = %(schema)s AND relname = %(name)s
