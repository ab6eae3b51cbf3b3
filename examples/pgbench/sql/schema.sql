-- The replica, filled from the tables. Capture is already on. A change during the copy is in the queue, and may
-- also be in the copy; applying it again does no harm.
BEGIN;
CREATE SCHEMA replica;

-- version: the msg_id of the row's last change. deleted: the row is deleted, but its version is kept.
CREATE TABLE replica.accounts (
    aid integer PRIMARY KEY, bid integer, abalance integer, filler character(84),
    version bigint NOT NULL DEFAULT 0, deleted boolean NOT NULL DEFAULT false
);
CREATE TABLE replica.tellers (
    tid integer PRIMARY KEY, bid integer, tbalance integer, filler character(84),
    version bigint NOT NULL DEFAULT 0, deleted boolean NOT NULL DEFAULT false
);
CREATE TABLE replica.branches (
    bid integer PRIMARY KEY, bbalance integer, filler character(88),
    version bigint NOT NULL DEFAULT 0, deleted boolean NOT NULL DEFAULT false
);

-- One row for each handled change. The primary key proves that no change took effect twice. The commit times of
-- its two transactions, captured_in and its own xmin, give the latency.
CREATE TABLE replica.handled (
    queue text, msg_id bigint, captured_in xid8 NOT NULL, attempt integer NOT NULL,
    PRIMARY KEY (queue, msg_id)
);

INSERT INTO replica.accounts SELECT aid, bid, abalance, filler FROM public.pgbench_accounts;
INSERT INTO replica.tellers SELECT tid, bid, tbalance, filler FROM public.pgbench_tellers;
INSERT INTO replica.branches SELECT bid, bbalance, filler FROM public.pgbench_branches;
COMMIT;
ANALYZE replica.accounts, replica.tellers, replica.branches;
