-- Half messages, in the check-back's own SQLite file, beside its outbox. Running it again changes nothing.
CREATE TABLE IF NOT EXISTS tally_half (
    message_id       TEXT    PRIMARY KEY,
    topic            TEXT    NOT NULL,
    record_partition INTEGER,
    record_key       BLOB,
    payload          BLOB,                       -- removed when it is settled
    headers          BLOB    NOT NULL,
    timestamp_ms     INTEGER,
    prepared_at      INTEGER NOT NULL,
    next_check_at    INTEGER NOT NULL,
    checks           INTEGER NOT NULL DEFAULT 0,
    state            INTEGER NOT NULL DEFAULT 0, -- 0 prepared, 1 unresolved, 2 committed, 3 rolled back
    settled_at       INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tally_half_due ON tally_half (next_check_at) WHERE state = 0;
CREATE INDEX IF NOT EXISTS tally_half_settled ON tally_half (settled_at) WHERE state >= 2;
