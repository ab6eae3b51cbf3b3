-- The replica, filled with what the tables hold at this moment. Capture is on by then, so a change made
-- meanwhile is in its queue even if it is in the copy already, and to apply it again does no harm.
BEGIN;
CREATE SCHEMA replica;

-- version: the msg_id of the change that the row is from. deleted: the row is gone, its version is not forgotten.
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

-- One row a handled change: its primary key proves that none took effect twice, and the commit times of its
-- two transactions, captured_in and its own xmin, say how long it took.
CREATE TABLE replica.handled (
    queue text, msg_id bigint, captured_in xid8 NOT NULL, attempt integer NOT NULL,
    PRIMARY KEY (queue, msg_id)
);

INSERT INTO replica.accounts SELECT aid, bid, abalance, filler FROM public.pgbench_accounts;
INSERT INTO replica.tellers SELECT tid, bid, tbalance, filler FROM public.pgbench_tellers;
INSERT INTO replica.branches SELECT bid, bbalance, filler FROM public.pgbench_branches;
COMMIT;
ANALYZE replica.accounts, replica.tellers, replica.branches;
