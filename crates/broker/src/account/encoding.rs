//! Accounts as bytes, for checkpoints and for statements in the journal.
//!
//! ```text
//! account | version u8 = 1 | opened at i64, opened time i64, position i64? | stored u64, appended seen u64
//!         | counts, folded | runs | window (below i64, at i64)? | tallies 5 x u64 | handled | stated at i64 |
//! ```

use bytes::Bytes;
use tallymq_model::{Offset, Timestamp};

use super::accounts::Accounts;
use super::alarm::Alarms;
use super::balance::{Account, CrashWindow, RUNS_MAX, Tallies};
use super::class::Counts;
use super::handled::Handled;
use super::runs::Runs;
use crate::codec::{DecodeError, Parts, Reader};

const ACCOUNT_VERSION: u8 = 1;
const ACCOUNTS_VERSION: u8 = 1;

impl Account {
    pub(super) fn encode(&self, out: &mut Parts) {
        out.put_u8(ACCOUNT_VERSION);
        out.put_i64(self.opened_at.0);
        out.put_i64(self.opened_time.0);
        out.put_option(self.position, |out, position| out.put_i64(position.0));
        out.put_u64(self.stored);
        out.put_u64(self.appended_seen);
        self.counts.encode(out);
        self.folded.encode(out);
        self.runs.encode(out);
        out.put_option(self.window, |out, window| {
            out.put_i64(window.below.0);
            out.put_i64(window.at.0);
        });
        let Tallies { redelivered, recovered, refused, merged_records, runs_folded } = self.tallies;
        for tally in [redelivered, recovered, refused, merged_records, runs_folded] {
            out.put_u64(tally);
        }
        self.handled.encode(out);
        out.put_i64(self.stated_at.0);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Account, DecodeError> {
        reader.version("an account", ACCOUNT_VERSION)?;
        let opened_at = Offset(reader.i64("an account's opening")?);
        let opened_time = Timestamp(reader.i64("an account's opening")?);
        let position =
            reader.option("an account's position", |reader| reader.i64("an account's position"))?;
        let (stored, appended_seen) = (reader.u64("an account")?, reader.u64("an account")?);
        let counts = Counts::decode(reader)?;
        let folded = Counts::decode(reader)?;
        let runs = Runs::decode(reader)?;
        if opened_at.0 < 0 || runs.from() < opened_at.0 || runs.len() > RUNS_MAX {
            return Err(DecodeError::Range("an account's runs"));
        }
        let window = reader.option("an account's window", |reader| {
            let below = Offset(reader.i64("an account's window")?);
            Ok(CrashWindow { below, at: Timestamp(reader.i64("an account's window")?) })
        })?;
        let mut tally = || reader.u64("an account's tallies");
        let tallies = Tallies {
            redelivered: tally()?,
            recovered: tally()?,
            refused: tally()?,
            merged_records: tally()?,
            runs_folded: tally()?,
        };
        let handled = Handled::decode(reader)?;
        let stated_at = Offset(reader.i64("an account's statement")?);
        let position = position.map(Offset);
        Ok(Account {
            opened_at,
            opened_time,
            position,
            stored,
            appended_seen,
            counts,
            folded,
            runs,
            window,
            tallies,
            handled,
            stated_at,
        })
    }
}

impl Accounts {
    /// Appends the whole state to `out`.
    pub fn encode(&self, out: &mut Parts) {
        out.put_u8(ACCOUNTS_VERSION);
        out.put_bool(self.is_off);
        out.put_bool(self.marks_complete);
        out.put_i64(self.clock.0);
        out.put_u64(self.unopened);
        out.put_length(self.books.len());
        for (tp, book) in &self.books {
            out.put_topic_partition(*tp);
            out.put_length(book.len());
            for (group, account) in book {
                out.put_text(group.as_str());
                account.encode(out);
            }
        }
        self.alarms.encode(out);
    }

    /// Reads the whole state from the front of `bytes`.
    pub fn decode(bytes: &mut Bytes) -> Result<Accounts, DecodeError> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        reader.version("the accounts", ACCOUNTS_VERSION)?;
        let mut accounts = Accounts {
            is_off: reader.bool("the accounts")?,
            marks_complete: reader.bool("the accounts")?,
            clock: Timestamp(reader.i64("the accounts")?),
            unopened: reader.u64("the accounts")?,
            ..Accounts::default()
        };
        for _ in 0..reader.count("the accounts", 18)? {
            let tp = reader.topic_partition("an account's partition")?;
            let count = reader.count("a partition's accounts", 16)?;
            let book = accounts.books.entry(tp).or_default();
            for _ in 0..count {
                let group = reader.text("an account's group")?;
                book.insert(group.into(), Box::new(Account::decode(reader)?));
            }
        }
        accounts.count = accounts.books.values().map(|book| book.len()).sum();
        accounts.alarms = Alarms::decode(reader)?;
        Ok(accounts)
    }
}
