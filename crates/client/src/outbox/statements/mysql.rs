//! The statements of MySQL and MariaDB.

use sqlx::{Connection, MySql, QueryBuilder};

use super::{Content, Counts, Failure, NewRow, Picked, Statements, StoredRow, Texts, body::*};
use crate::database_clock::now;

const TEXTS: Texts = Texts {
    now: now!(mysql),
    insert: concat!(
        "INSERT INTO tally_outbox (message_id, lane, order_key, topic, record_partition, record_key, payload, \
         headers, timestamp_ms, size_bytes, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ",
        now!(mysql),
        ")"
    ),
    lanes_with_work: concat!(
        "SELECT l.lane FROM tally_outbox_lane l WHERE (l.lease_until <= ",
        now!(mysql),
        " OR l.owner = ?) AND EXISTS (SELECT 1 FROM tally_outbox o LEFT JOIN tally_outbox_hold h ON \
         h.order_key = o.order_key WHERE o.state = 0 AND o.lane = l.lane AND (h.held_until IS NULL OR \
         h.held_until <= ",
        now!(mysql),
        ")) ORDER BY l.served_at, l.lane LIMIT ?"
    ),
    skip_locked: " FOR UPDATE SKIP LOCKED",
    pick: concat!(
        "SELECT o.id, o.order_key, o.size_bytes, COALESCE(h.attempts, 0) FROM tally_outbox o LEFT JOIN \
         tally_outbox_hold h ON h.order_key = o.order_key WHERE o.state = 0 AND o.lane = ? AND \
         (h.held_until IS NULL OR h.held_until <= ",
        now!(mysql),
        ") ORDER BY o.id LIMIT ?"
    ),
    fetch: "SELECT id, order_key, CONVERT(message_id USING utf8mb4), topic, record_partition, record_key, payload, \
        headers, timestamp_ms FROM tally_outbox WHERE id IN (",
    renew: concat!("UPDATE tally_outbox_lane SET lease_until = ", now!(mysql), " + ? WHERE owner = ?"),
    release: concat!(
        "UPDATE tally_outbox_lane SET owner = NULL, lease_until = 0, served_at = ",
        now!(mysql),
        " WHERE owner = ?"
    ),
    hold: concat!(
        "INSERT INTO tally_outbox_hold (order_key, attempts, held_until, message_id, reason) VALUES (?, ?, ",
        now!(mysql),
        " + ?, ?, ?) ON DUPLICATE KEY UPDATE attempts = VALUES(attempts), held_until = VALUES(held_until), \
         message_id = VALUES(message_id), reason = VALUES(reason)"
    ),
    park: "UPDATE tally_outbox SET state = 2, reason = ? WHERE state = 0 AND id = ?",
    unpark: "UPDATE tally_outbox SET state = 0, reason = NULL WHERE state = 2 AND message_id = ?",
    old: concat!(
        "SELECT id FROM tally_outbox WHERE state = 1 AND sent_at <= ",
        now!(mysql),
        " - ? ORDER BY sent_at LIMIT ?"
    ),
    counts: concat!(
        "SELECT (SELECT COUNT(*) FROM tally_outbox WHERE state = 0), (SELECT COUNT(*) FROM tally_outbox WHERE \
         state = 1), (SELECT COUNT(*) FROM tally_outbox WHERE state = 2), (SELECT COUNT(*) FROM \
         tally_outbox_hold), (SELECT ",
        now!(mysql),
        " - MIN(created_at) FROM tally_outbox WHERE state = 0)"
    ),
    held: "SELECT CONVERT(message_id USING utf8mb4), attempts, reason FROM tally_outbox_hold ORDER BY attempts \
        DESC, message_id LIMIT ?",
    parked: "SELECT CONVERT(message_id USING utf8mb4), topic, COALESCE(reason, '') FROM tally_outbox WHERE state = 2 \
        ORDER BY id LIMIT ?",
};

statements!(MySql, TEXTS, "../sql/mysql.sql", "", "BEGIN");
