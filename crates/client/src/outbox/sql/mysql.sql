-- The outbox of tallymq-client in MariaDB (10.6 or newer) and MySQL (8.0 or newer; not tested there). Running it again changes nothing.
-- Times are milliseconds since 1970 by the clock of the database.

CREATE TABLE IF NOT EXISTS tally_outbox (
    id               BIGINT         NOT NULL AUTO_INCREMENT PRIMARY KEY, -- the order of messages with the same order_key
    message_id       VARBINARY(300) NOT NULL UNIQUE,                     -- goes out as the header tally-id
    lane             INT            NOT NULL,                            -- order_key modulo the number of lanes
    order_key        BIGINT         NOT NULL,                            -- messages that must stay in order have the same
    topic            VARCHAR(249) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    record_partition INT,
    record_key       LONGBLOB,
    payload          LONGBLOB,
    headers          LONGBLOB       NOT NULL,
    timestamp_ms     BIGINT,
    size_bytes       BIGINT         NOT NULL,
    created_at       BIGINT         NOT NULL,
    state            INT            NOT NULL DEFAULT 0,                  -- 0 pending, 1 sent, 2 parked
    sent_at          BIGINT,                                             -- when the durable acknowledgement was noted
    reason           TEXT CHARACTER SET utf8mb4,                         -- why it was parked
    KEY tally_outbox_pending (state, lane, id),
    KEY tally_outbox_sent (state, sent_at)
) ENGINE = InnoDB;

-- Who sends the messages of a lane, until when: one relay at a time keeps the order.
CREATE TABLE IF NOT EXISTS tally_outbox_lane (
    lane        INT    NOT NULL PRIMARY KEY,
    owner       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
    lease_until BIGINT NOT NULL DEFAULT 0,
    served_at   BIGINT NOT NULL DEFAULT 0
) ENGINE = InnoDB;
INSERT IGNORE INTO tally_outbox_lane (lane)
    WITH RECURSIVE lanes (lane) AS (SELECT 0 UNION ALL SELECT lane + 1 FROM lanes WHERE lane < 63) SELECT lane FROM lanes;

-- Order keys whose first pending message failed, until when they wait.
CREATE TABLE IF NOT EXISTS tally_outbox_hold (
    order_key  BIGINT         NOT NULL PRIMARY KEY,
    attempts   BIGINT         NOT NULL,
    held_until BIGINT         NOT NULL,
    message_id VARBINARY(300) NOT NULL,
    reason     TEXT CHARACTER SET utf8mb4 NOT NULL
) ENGINE = InnoDB;
