//! The leader's checks of a produced batch, before it goes to the log: those of a real broker (`UnifiedLog`,
//! `LogValidator`, `ProduceRequest.validateRecords`). Pure; decides nothing that depends on the order of the log, so
//! duplicates, sequences and offsets are `data`'s.

mod admit;
mod records;

pub use admit::{AdmitError, AdmitRules, Admitted, RequiredAcks, UnknownAcks, admit};
pub use records::RecordError;
