//! Hands out producer ids from blocks that the metadata group allocated durably. An id is never given twice; what is left
//! of a block at a crash is lost, as in Kafka.

use tallymq_broker::metadata::ProducerIdBlock;
use tallymq_model::ProducerId;
use tokio::sync::Mutex;

/// The block in use.
#[derive(Default)]
pub struct ProducerIds {
    left: Mutex<Option<ProducerIdBlock>>,
}

impl ProducerIds {
    /// The next id; `allocate` is asked for a block when there is none. One caller at a time.
    pub async fn next<E>(
        &self,
        allocate: impl AsyncFnOnce() -> Result<ProducerIdBlock, E>,
    ) -> Result<ProducerId, E> {
        let mut left = self.left.lock().await;
        let block = match left.take() {
            Some(block) => block,
            None => allocate().await?,
        };
        if block.count > 1 {
            *left = Some(ProducerIdBlock { first: ProducerId(block.first.0 + 1), count: block.count - 1 });
        }
        Ok(block.first)
    }
}
