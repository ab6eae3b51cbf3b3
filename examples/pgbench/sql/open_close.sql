-- Mixed into pgbench's TPC-B-like load, which only ever updates: accounts beyond its own are opened and closed,
-- few enough that each is opened and closed again and again.
\set aid random(100000 * :scale + 1, 100000 * :scale + 100)
\set bid random(1, :scale)
\set open random(0, 1)
\if :open
INSERT INTO pgbench_accounts (aid, bid, abalance, filler) VALUES (:aid, :bid, 0, 'opened')
ON CONFLICT (aid) DO UPDATE SET bid = excluded.bid, filler = 'opened again';
\else
DELETE FROM pgbench_accounts WHERE aid = :aid;
\endif
