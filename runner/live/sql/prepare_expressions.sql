-- The settings of a capture function; it does not wait for a table that is being altered.
SELECT set_config(name, value, true)
FROM (VALUES
    ('changelane.checks', %s),
    ('search_path', 'pg_catalog, pg_temp'),
    ('DateStyle', 'ISO, MDY'),
    ('IntervalStyle', 'postgres'),
    ('TimeZone', 'UTC'),
    ('bytea_output', 'hex'),
    ('extra_float_digits', '1'),
    ('lock_timeout', '200ms')
) AS pinned (name, value)
