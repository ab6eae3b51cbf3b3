CREATE TABLE customers (name text PRIMARY KEY, email text NOT NULL);
CREATE TABLE sent_mails (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, recipient text NOT NULL, subject text NOT NULL);
-- The name and the time of a schedule identify a run. A second row for the same run fails.
CREATE TABLE reports (
    schedule text, scheduled_at timestamptz, kind text NOT NULL, mails bigint NOT NULL,
    PRIMARY KEY (schedule, scheduled_at)
);
