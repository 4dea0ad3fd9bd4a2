//! Messages written in the caller's own database transaction, and the relay that sends them.
