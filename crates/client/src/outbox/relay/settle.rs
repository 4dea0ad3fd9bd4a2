//! What became of the sends of a round, until the database knows it. An acknowledgement that could not be noted yet is
//! kept for the next try: it stays true, whoever owns the lane by then.

use std::collections::BTreeSet;

use super::{
    super::{
        DestinationError,
        statements::{Failure, Statements, StoredRow},
    },
    OnRefused, RelaySettings,
    settings::milliseconds,
};

/// Most values in one statement.
const CHUNK: usize = 500;

#[derive(Debug, Default)]
pub(super) struct Settled {
    pub(super) sent: Vec<i64>,
    pub(super) freed: BTreeSet<i64>, // order keys of which a message went out after failures
    pub(super) failures: Vec<Failure>,
    pub(super) parked: Vec<Failure>,
}

impl Settled {
    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.freed.is_empty() && self.failures.is_empty() && self.parked.is_empty()
    }

    pub(super) fn acknowledged(&mut self, row: &StoredRow, attempts: i64) {
        self.sent.push(row.id);
        if attempts > 0 {
            self.freed.insert(row.order_key);
        }
    }

    /// Notes a failed attempt, the `attempts`-th. Answers whether the next message of its key may go on.
    pub(super) fn failed(
        &mut self,
        row: &StoredRow,
        attempts: i64,
        error: &DestinationError,
        settings: &RelaySettings,
    ) -> bool {
        let failure = Failure {
            id: row.id,
            order_key: row.order_key,
            message_id: row.message_id.clone(),
            // A database may refuse a zero byte, or a text without end.
            reason: error.to_string().replace('\0', "").chars().take(1000).collect(),
            attempts,
            hold_ms: milliseconds(settings.back_off(attempts)),
        };
        match (error, settings.on_refused) {
            (DestinationError::Refused { .. }, OnRefused::Park { after_attempts })
                if attempts >= i64::from(after_attempts) =>
            {
                self.freed.insert(row.order_key);
                self.parked.push(failure);
                true
            }
            _ => {
                self.failures.push(failure);
                false
            }
        }
    }

    /// Takes what is to be written now.
    pub(super) fn take(&mut self) -> Settled {
        std::mem::take(self)
    }

    /// Puts back what could not be written, before what came meanwhile.
    pub(super) fn put_back(&mut self, mut unwritten: Settled) {
        std::mem::swap(self, &mut unwritten);
        self.sent.append(&mut unwritten.sent);
        self.freed.append(&mut unwritten.freed);
        self.failures.append(&mut unwritten.failures);
        self.parked.append(&mut unwritten.parked);
    }

    /// Writes it all in the caller's transaction. Repeating it is harmless.
    pub(super) async fn write<DB: Statements>(&mut self, conn: &mut DB::Connection) -> sqlx::Result<()> {
        // In the order of the ids, so that two relays never wait for each other's rows in a circle.
        self.sent.sort_unstable();
        for ids in self.sent.chunks(CHUNK) {
            DB::mark_sent(conn, ids).await?;
        }
        let freed: Vec<i64> = self.freed.iter().copied().collect();
        for order_keys in freed.chunks(CHUNK) {
            DB::unhold(conn, order_keys).await?;
        }
        self.parked.sort_unstable_by_key(|parked| parked.id);
        for parked in &self.parked {
            DB::park(conn, parked.id, &parked.reason).await?;
        }
        self.failures.sort_by_key(|failure| failure.order_key);
        for failure in &self.failures {
            DB::hold(conn, failure).await?;
        }
        Ok(())
    }
}
