-- Which of these processes work at a statement; those of the own role are seen by everybody.
SELECT pid FROM pg_stat_activity WHERE pid = ANY (%(pids)s) AND state <> 'idle' AND state NOT LIKE 'idle in %%'
