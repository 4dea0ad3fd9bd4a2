//! Dead letters one by one, however many there are: a thread reads ahead a little, and stops when nobody wants more.

use tokio::sync::mpsc;

use super::{DeadLetter, DeadLetterError, DeadLetters, Letters, scan};

/// Letters that are read ahead.
const AHEAD: usize = 64;

/// The unsettled letters of a topic as it was when reading began, oldest first per partition.
#[derive(Debug)]
pub struct DeadLetterStream {
    letters: mpsc::Receiver<Result<DeadLetter, DeadLetterError>>,
}

impl DeadLetterStream {
    pub(super) fn open(of: DeadLetters) -> DeadLetterStream {
        let (found, letters) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            let mut give = |letter| found.blocking_send(Ok(letter)).is_ok();
            if let Err(error) = scan::visit(&of, Letters::All, &mut give) {
                // Nobody wants it if the other side is gone.
                drop(found.blocking_send(Err(error)));
            }
        });
        DeadLetterStream { letters }
    }

    /// The next one; None at the end.
    ///
    /// # Errors
    /// [`DeadLetterError::NoTopic`], [`DeadLetterError::Broker`]; nothing comes behind one.
    pub async fn next(&mut self) -> Option<Result<DeadLetter, DeadLetterError>> {
        self.letters.recv().await
    }
}
