//! The texts of the dialects that number their arguments, PostgreSQL and SQLite. They differ in their clocks and their locks
//! alone.

/// `numbered_texts!(whose clock, the end of a SELECT that takes rows nobody has locked)`
macro_rules! numbered_texts {
    ($clock:ident, $skip_locked:literal) => {
        Texts {
            now: now!($clock),
            insert: concat!(
                "INSERT INTO tally_outbox (message_id, lane, order_key, topic, record_partition, record_key, payload, \
                 headers, timestamp_ms, size_bytes, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, ",
                now!($clock),
                ")"
            ),
            lanes_with_work: concat!(
                "SELECT l.lane FROM tally_outbox_lane l WHERE (l.lease_until <= ",
                now!($clock),
                " OR l.owner = $1) AND EXISTS (SELECT 1 FROM tally_outbox o LEFT JOIN tally_outbox_hold h ON \
                 h.order_key = o.order_key WHERE o.state = 0 AND o.lane = l.lane AND (h.held_until IS NULL OR \
                 h.held_until <= ",
                now!($clock),
                ")) ORDER BY l.served_at, l.lane LIMIT $2"
            ),
            skip_locked: $skip_locked,
            pick: concat!(
                "SELECT o.id, o.order_key, o.size_bytes, COALESCE(h.attempts, 0) FROM tally_outbox o LEFT JOIN \
                 tally_outbox_hold h ON h.order_key = o.order_key WHERE o.state = 0 AND o.lane = $1 AND \
                 (h.held_until IS NULL OR h.held_until <= ",
                now!($clock),
                ") ORDER BY o.id LIMIT $2"
            ),
            fetch: "SELECT id, order_key, message_id, topic, record_partition, record_key, payload, headers, \
                timestamp_ms FROM tally_outbox WHERE id IN (",
            renew: concat!(
                "UPDATE tally_outbox_lane SET lease_until = ",
                now!($clock),
                " + $1 WHERE owner = $2"
            ),
            release: concat!(
                "UPDATE tally_outbox_lane SET owner = NULL, lease_until = 0, served_at = ",
                now!($clock),
                " WHERE owner = $1"
            ),
            hold: concat!(
                "INSERT INTO tally_outbox_hold (order_key, attempts, held_until, message_id, reason) VALUES ($1, $2, ",
                now!($clock),
                " + $3, $4, $5) ON CONFLICT (order_key) DO UPDATE SET attempts = excluded.attempts, held_until = \
                 excluded.held_until, message_id = excluded.message_id, reason = excluded.reason"
            ),
            park: "UPDATE tally_outbox SET state = 2, reason = $1 WHERE state = 0 AND id = $2",
            unpark: "UPDATE tally_outbox SET state = 0, reason = NULL WHERE state = 2 AND message_id = $1",
            old: concat!(
                "SELECT id FROM tally_outbox WHERE state = 1 AND sent_at <= ",
                now!($clock),
                " - $1 ORDER BY sent_at LIMIT $2"
            ),
            counts: concat!(
                "SELECT (SELECT COUNT(*) FROM tally_outbox WHERE state = 0), (SELECT COUNT(*) FROM tally_outbox \
                 WHERE state = 1), (SELECT COUNT(*) FROM tally_outbox WHERE state = 2), (SELECT COUNT(*) FROM \
                 tally_outbox_hold), (SELECT ",
                now!($clock),
                " - MIN(created_at) FROM tally_outbox WHERE state = 0)"
            ),
            held: "SELECT message_id, attempts, reason FROM tally_outbox_hold ORDER BY attempts DESC, message_id \
                LIMIT $1",
            parked: "SELECT message_id, topic, COALESCE(reason, '') FROM tally_outbox WHERE state = 2 ORDER BY id \
                LIMIT $1",
        }
    };
}

pub(super) use numbered_texts;
