//! The checker's own tests: golden histories, and valid histories with one thing changed. No broker is involved.

mod files;
mod golden;
mod mutations;
mod planted;
mod speed;
mod valid;
mod world;
