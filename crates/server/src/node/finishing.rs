//! Changes of several steps that come to their end once begun, also when the connection that asked for them is gone by then:
//! what is applied in one group and not in the other would stay so until the next start.

use std::panic::resume_unwind;

use tallymq_consensus::ProposeError;

/// Makes a change aside and waits for it. Whoever stops waiting leaves it running, unless it was not begun. A stop ends it: its
/// groups take no commands any more.
pub async fn to_its_end<T, E>(change: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<ProposeError> + Send + 'static,
{
    match tokio::spawn(change).await {
        Ok(changed) => changed,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime has ended it.
            Err(_) => Err(ProposeError::Unknown.into()),
        },
    }
}
