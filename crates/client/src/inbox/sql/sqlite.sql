-- The inbox of tallymq-client in SQLite (3.35 or newer). Running it again changes nothing.
-- Times are milliseconds since 1970 by the clock of the machine.

CREATE TABLE IF NOT EXISTS tally_inbox (
    consumer   TEXT    NOT NULL,           -- who did the work: ids of different consumers are apart
    message_id TEXT    NOT NULL,
    done_at    INTEGER NOT NULL,
    repeats    INTEGER NOT NULL DEFAULT 0, -- how often it came again, as far as those transactions were committed
    PRIMARY KEY (consumer, message_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tally_inbox_age ON tally_inbox (consumer, done_at);
