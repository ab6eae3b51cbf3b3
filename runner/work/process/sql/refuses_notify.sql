-- PREPARE TRANSACTION fails in a transaction that has notified, and the application's writes fail with it.
SELECT current_setting('max_prepared_transactions')::int > 0
    AND coalesce(current_setting('changelane.wake', true), '') NOT IN ('on', 'true', '1')
