//! How TallyMQ is put to the test: histories and their checker, and the bugs that are planted to prove that the tests
//! would see them. A development crate: nothing that ships imports it.

pub mod fuzz;
pub mod history;
pub mod planted;
pub mod world;
