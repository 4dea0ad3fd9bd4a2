-- The outbox of tallymq-client in SQLite (3.35 or newer). Running it again changes nothing.
-- Times are milliseconds since 1970 by the clock of the machine.

CREATE TABLE IF NOT EXISTS tally_outbox (
    id               INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of messages with the same order_key
    message_id       TEXT    NOT NULL UNIQUE,           -- goes out as the header tally-id
    lane             INTEGER NOT NULL,                  -- order_key modulo the number of lanes
    order_key        INTEGER NOT NULL,                  -- messages that must stay in order have the same
    topic            TEXT    NOT NULL,
    record_partition INTEGER,
    record_key       BLOB,
    payload          BLOB,
    headers          BLOB    NOT NULL,
    timestamp_ms     INTEGER,
    size_bytes       INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    state            INTEGER NOT NULL DEFAULT 0,        -- 0 pending, 1 sent, 2 parked
    sent_at          INTEGER,                           -- when the durable acknowledgement was noted
    reason           TEXT                               -- why it was parked
);
CREATE INDEX IF NOT EXISTS tally_outbox_pending ON tally_outbox (lane, id) WHERE state = 0;
CREATE INDEX IF NOT EXISTS tally_outbox_sent ON tally_outbox (sent_at) WHERE state = 1;
CREATE INDEX IF NOT EXISTS tally_outbox_parked ON tally_outbox (id) WHERE state = 2;

-- Who sends the messages of a lane, until when: one relay at a time keeps the order.
CREATE TABLE IF NOT EXISTS tally_outbox_lane (
    lane        INTEGER PRIMARY KEY,
    owner       TEXT,
    lease_until INTEGER NOT NULL DEFAULT 0,
    served_at   INTEGER NOT NULL DEFAULT 0
);
INSERT OR IGNORE INTO tally_outbox_lane (lane)
    WITH RECURSIVE lanes (lane) AS (SELECT 0 UNION ALL SELECT lane + 1 FROM lanes WHERE lane < 63) SELECT lane FROM lanes;

-- Order keys whose first pending message failed, until when they wait.
CREATE TABLE IF NOT EXISTS tally_outbox_hold (
    order_key  INTEGER PRIMARY KEY,
    attempts   INTEGER NOT NULL,
    held_until INTEGER NOT NULL,
    message_id TEXT    NOT NULL,
    reason     TEXT    NOT NULL
);
