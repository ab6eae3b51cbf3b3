-- The tables whose changes are relayed, beside those of schema.sql, and what arrived in each engine.
CREATE TABLE torture.nats (LIKE torture.singles INCLUDING ALL);
CREATE TABLE torture.kafka (LIKE torture.singles INCLUDING ALL);
CREATE TABLE torture.rabbitmq (LIKE torture.singles INCLUDING ALL);
CREATE TABLE torture.redis (LIKE torture.singles INCLUDING ALL);
CREATE TABLE torture.http (LIKE torture.singles INCLUDING ALL);

-- A poison is larger than these engines take.
ALTER TABLE torture.nats ADD pad text
    GENERATED ALWAYS AS (CASE WHEN kind = 'poison' THEN repeat('x', 1100000) END) STORED;
ALTER TABLE torture.kafka ADD pad text
    GENERATED ALWAYS AS (CASE WHEN kind = 'poison' THEN repeat('x', 1100000) END) STORED;
ALTER TABLE torture.rabbitmq ADD pad text
    GENERATED ALWAYS AS (CASE WHEN kind = 'poison' THEN repeat('x', 1100000) END) STORED;

-- n ascends in the order of the engine, or of a key's partition.
CREATE TABLE torture.arrived (n bigserial, queue text, id text, key int, seq bigint);
