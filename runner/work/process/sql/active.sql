-- Which of these processes run a statement now. Every role sees the processes of its own.
SELECT pid FROM pg_stat_activity WHERE pid = ANY (%(pids)s) AND state <> 'idle' AND state NOT LIKE 'idle in %%'
