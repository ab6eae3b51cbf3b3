CREATE TABLE readings (at timestamptz, value double precision, raw bytea, took interval);
