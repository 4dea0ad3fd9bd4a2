//! Answers find whom they belong to: a table. What an answer may say is judged by whoever gets it, and here where nobody
//! waits any more.

use tallymq_broker::{
    data::{DataOutcome, ProduceRefusal, Produced},
    metadata::MetadataOutcome,
};
use tallymq_model::TopicPartition;

use super::{
    admin,
    life::World,
    machine::Answer,
    node::{Applied, Node},
    scene::Waiting,
    unsettled::Effect,
};

/// One answer in so many finds its connection gone.
const ANSWERS_PER_LOST_CONNECTION: u64 = 25;

impl World {
    /// Gives an answer to whom it belongs. An error says which promise it breaks.
    pub(super) fn answer(&mut self, applied: Applied, node: &Node) -> Result<(), String> {
        let scene = &mut self.scene;
        let Some(waiting) = scene.waiting.remove(&applied.ticket) else { return Ok(()) };
        if let Some(effect) = effect(&waiting, &applied.answer) {
            scene.unsettled.note(effect);
        }
        match (waiting, applied.answer) {
            (
                Waiting::Batch { producer, number, connection, .. },
                Answer::Data(DataOutcome::Produced(produced)),
            ) => {
                if !self.healing && scene.random.one_in(ANSWERS_PER_LOST_CONNECTION) {
                    self.producers[producer].lose_connection();
                }
                self.producers[producer].answered(scene, (number, connection), produced)
            }
            (Waiting::Late { must_be_fenced: true, .. }, Answer::Data(DataOutcome::Produced(answer))) => {
                match answer {
                    Err(ProduceRefusal::InvalidProducerEpoch { .. } | ProduceRefusal::UnknownPartition) => {
                        Ok(())
                    }
                    other => Err(format!("a batch of an old epoch was answered with {other:?}")),
                }
            }
            (waiting, Answer::Data(DataOutcome::PositionsCommitted { fenced, unknown })) => {
                self.committed(waiting, &fenced, &unknown)
            }
            (Waiting::Coordinator { home, ticket }, Answer::Data(DataOutcome::Group(outcome))) => {
                self.team.applied(home, scene, ticket, outcome);
                Ok(())
            }
            (Waiting::Trim { place, to }, Answer::Data(DataOutcome::LogStartMoved(Ok(_)))) => {
                admin::trimmed(scene, &place, to);
                Ok(())
            }
            (Waiting::Open { places }, Answer::Data(DataOutcome::Opened(_))) => {
                admin::opened(scene, places);
                Ok(())
            }
            (waiting, Answer::Metadata(outcome)) => self.metadata_changed(waiting, outcome, node),
            _ => Ok(()),
        }
    }

    /// A position was committed, or refused for one of two reasons.
    fn committed(
        &mut self,
        waiting: Waiting,
        fenced: &[TopicPartition],
        unknown: &[TopicPartition],
    ) -> Result<(), String> {
        let scene = &mut self.scene;
        let is_taken = fenced.is_empty() && unknown.is_empty();
        match waiting {
            Waiting::Commit { consumer, number, offset } => {
                self.consumers[consumer].committed(scene, (number, offset), is_taken)
            }
            Waiting::MemberCommit { member, number, offset, fence, place } => {
                self.team.committed(scene, member, (&place, fence), (number, offset, is_taken));
                Ok(())
            }
            Waiting::StaleCommit { place } | Waiting::FencedCommit { place } => {
                scene.refused_again += 1;
                if fenced.is_empty() && (unknown.is_empty() || !scene.is_doomed(place.tp)) {
                    return Err(format!("a commit of an old generation was taken in {}", place.tp));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn metadata_changed(
        &mut self,
        waiting: Waiting,
        outcome: MetadataOutcome,
        node: &Node,
    ) -> Result<(), String> {
        let scene = &mut self.scene;
        match (waiting, outcome) {
            (Waiting::Ids, MetadataOutcome::ProducerIds(Ok(block))) => admin::allocated(scene, block),
            (Waiting::Create { topic }, MetadataOutcome::TopicCreated(Ok(_))) => {
                if let Some(topic) = scene.topics.get_mut(&topic) {
                    topic.created = true;
                }
                admin::reconcile(node, scene)
            }
            (Waiting::Delete, MetadataOutcome::TopicDeleted(Ok(_))) => admin::reconcile(node, scene),
            _ => Ok(()),
        }
    }
}

/// What an answer promises, as far as a power cut under async or damage to the last group could take it back.
fn effect(waiting: &Waiting, answer: &Answer) -> Option<Effect> {
    match (waiting, answer) {
        (
            Waiting::Batch { place, .. } | Waiting::Late { place, .. },
            Answer::Data(DataOutcome::Produced(Ok(Produced::Appended { base_offset, .. }))),
        ) => Some(Effect::Stored { place: place.clone(), base: base_offset.0 }),
        (Waiting::Create { topic }, Answer::Metadata(MetadataOutcome::TopicCreated(Ok(_)))) => {
            Some(Effect::Created { topic: *topic })
        }
        _ => None,
    }
}
