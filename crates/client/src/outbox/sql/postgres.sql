-- The outbox of tallymq-client in PostgreSQL (12 or newer). Running it again changes nothing.
-- Times are milliseconds since 1970 by the clock of the database.

CREATE TABLE IF NOT EXISTS tally_outbox (
    id               BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- the order of messages with the same order_key
    message_id       TEXT    NOT NULL UNIQUE,                         -- goes out as the header tally-id
    lane             INTEGER NOT NULL,                                -- order_key modulo the number of lanes
    order_key        BIGINT  NOT NULL,                                -- messages that must stay in order have the same
    topic            TEXT    NOT NULL,
    record_partition INTEGER,
    record_key       BYTEA,
    payload          BYTEA,
    headers          BYTEA   NOT NULL,
    timestamp_ms     BIGINT,
    size_bytes       BIGINT  NOT NULL,
    created_at       BIGINT  NOT NULL,
    state            INTEGER NOT NULL DEFAULT 0,                      -- 0 pending, 1 sent, 2 parked
    sent_at          BIGINT,                                          -- when the durable acknowledgement was noted
    reason           TEXT                                             -- why it was parked
);
CREATE INDEX IF NOT EXISTS tally_outbox_pending ON tally_outbox (lane, id) WHERE state = 0;
CREATE INDEX IF NOT EXISTS tally_outbox_sent ON tally_outbox (sent_at) WHERE state = 1;
CREATE INDEX IF NOT EXISTS tally_outbox_parked ON tally_outbox (id) WHERE state = 2;

-- Who sends the messages of a lane, until when: one relay at a time keeps the order.
CREATE TABLE IF NOT EXISTS tally_outbox_lane (
    lane        INTEGER PRIMARY KEY,
    owner       TEXT,
    lease_until BIGINT NOT NULL DEFAULT 0,
    served_at   BIGINT NOT NULL DEFAULT 0
);
INSERT INTO tally_outbox_lane (lane) SELECT generate_series(0, 63) ON CONFLICT DO NOTHING;

-- Order keys whose first pending message failed, until when they wait.
CREATE TABLE IF NOT EXISTS tally_outbox_hold (
    order_key  BIGINT  PRIMARY KEY,
    attempts   BIGINT  NOT NULL,
    held_until BIGINT  NOT NULL,
    message_id TEXT    NOT NULL,
    reason     TEXT    NOT NULL
);
