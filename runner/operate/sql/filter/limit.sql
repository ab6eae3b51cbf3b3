SELECT set_config('statement_timeout', %s::text, true)
FROM pg_settings
WHERE name = 'statement_timeout' AND setting = '0'
