-- Inserts and deletes beside pgbench's TPC-B-like load, which only updates. They open and close a few additional
-- accounts, each many times.
\set aid random(100000 * :scale + 1, 100000 * :scale + 100)
\set bid random(1, :scale)
\set open random(0, 1)
\if :open
INSERT INTO pgbench_accounts (aid, bid, abalance, filler) VALUES (:aid, :bid, 0, 'opened')
ON CONFLICT (aid) DO UPDATE SET bid = excluded.bid, filler = 'opened again';
\else
DELETE FROM pgbench_accounts WHERE aid = :aid;
\endif
