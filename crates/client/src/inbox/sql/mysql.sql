-- The inbox of tallymq-client in MariaDB (10.6 or newer) and MySQL (8.0 or newer; not tested there). Running it again changes nothing.
-- Times are milliseconds since 1970 by the clock of the database.

CREATE TABLE IF NOT EXISTS tally_inbox (
    consumer   VARBINARY(255) NOT NULL,           -- who did the work: ids of different consumers are apart
    message_id VARBINARY(300) NOT NULL,           -- bytes: no collation may take two ids for one
    done_at    BIGINT         NOT NULL,
    repeats    BIGINT         NOT NULL DEFAULT 0, -- how often it came again, as far as those transactions were committed
    PRIMARY KEY (consumer, message_id),
    KEY tally_inbox_age (consumer, done_at)
) ENGINE = InnoDB;
