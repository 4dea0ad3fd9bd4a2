//! Heartbeat to a classic group.

use super::soft::Phase;
use crate::group::coordinator::turn::Turn;
use crate::group::error::GroupError;
use crate::group::request::Heartbeat;

impl Turn<'_> {
    pub(in crate::group::coordinator) fn heartbeat(
        &mut self,
        heartbeat: &Heartbeat,
    ) -> Result<(), GroupError> {
        if self.consumer().is_some() {
            return self.heartbeat_consumer_classic(heartbeat);
        }
        let soft = &self.slot.classic;
        soft.check_member(&heartbeat.member, heartbeat.instance.as_ref())?;
        if heartbeat.generation != soft.generation {
            return Err(GroupError::IllegalGeneration);
        }
        match soft.phase {
            Phase::Empty => Err(GroupError::UnknownMemberId),
            Phase::Preparing { .. } => {
                self.start_session(&heartbeat.member);
                Err(GroupError::RebalanceInProgress)
            }
            Phase::Completing | Phase::Stable => {
                self.start_session(&heartbeat.member);
                Ok(())
            }
        }
    }
}
