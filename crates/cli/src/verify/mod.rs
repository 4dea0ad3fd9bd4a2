//! Checking a stopped data directory.
