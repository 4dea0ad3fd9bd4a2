//! Consumer groups (KIP-848): members say what they subscribe to, the broker assigns, and each member is led to its target
//! step by step, so that no partition ever has two holders.

mod advance;
mod applied;
mod classic_member;
mod heartbeat;
mod leave;
mod reconcile;
pub(super) mod subscription;
