SELECT to_regnamespace('pgmq') IS NOT NULL AND EXISTS (
    SELECT FROM pg_catalog.pg_proc
    WHERE pronamespace = to_regnamespace('changelane') AND proname = 'pause' AND pronargs = 1
)
