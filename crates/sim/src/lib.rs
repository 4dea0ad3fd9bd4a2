//! How TallyMQ is put to the test: histories and their checker. A development crate: nothing that ships imports it.

pub mod history;
