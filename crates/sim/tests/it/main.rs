//! The checker's own tests: golden histories, and valid histories with one thing changed; the simulated world;
//! and the list of planted bugs against the sources.

mod files;
mod golden;
mod mutations;
mod planted;
mod speed;
mod valid;
mod world;
