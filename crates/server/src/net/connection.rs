//! One client connection: moves bytes between the socket and the session, starts calls and hands their answers back.
//! No API is known here.
//!
//! Calls of a connection are handled one after the other, as Kafka does, except produces: those are *submitted* one after
//! the other, so that their order is kept, and then wait for the disk together.

use std::{collections::VecDeque, io, io::IoSlice, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{StreamExt, stream::FuturesUnordered};
use tallymq_gateway::kafka::{
    request::Response,
    session::{Call, CallId, Session, SessionError, SessionLimits},
};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep_until},
};

use super::budget::{Budget, Held};
use crate::stop::stopped;

/// Room that is made in the input before each read.
const READ_BYTES: usize = 64 * 1024;
/// How far to read ahead while a call is being handled that nothing may overtake.
const READ_AHEAD_BYTES: usize = 256 * 1024;
/// How long calls may take to finish once the broker stops; a waiting join would take minutes.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// Memory that every connection may use for what it reads; more comes from the budget.
const OWN_BYTES: usize = 1 << 20;
/// What is taken from the budget at a time.
const CLAIM_BYTES: usize = 1 << 20;
/// How long a connection that holds memory of the budget may be silent.
const HOLDING_IDLE_MAX: Duration = Duration::from_secs(30);
/// Unsent bytes of answers above which no further call begins: a client that asks and does not read gets no more.
const UNSENT_BYTES_MAX: usize = 256 * 1024;
/// Pieces of an answer below this size are copied together.
const COPY_BYTES_MAX: usize = 2048;
/// Pieces that one write hands to the kernel.
const WRITE_PIECES_MAX: usize = 64;

/// A future that can be stored.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What came of a call.
pub enum Answer {
    /// Send this.
    Response(Response),
    /// Send this, and give the memory back when it is sent.
    Held(Response, Held),
    /// Send this, give the memory back when it is sent, and tell the watcher.
    Watched(Response, Option<Held>, Box<dyn Watcher>),
    /// Send nothing (Produce with acks=0).
    Silence,
    /// Close the connection: the only way to tell a client that waits for no answer.
    Close(String),
}

/// Wants to know whether an answer left. Dropped, it did not.
pub trait Watcher: Send {
    /// The socket took all of its bytes.
    fn left(self: Box<Self>);
}

/// A call after its orderly part: answered, or waiting for something that later calls need not wait for.
pub enum Step {
    /// Done.
    Answered(Answer),
    /// The next call may begin.
    Waiting(Pending<Answer>),
}

/// Handles the calls of all connections.
pub trait Calls: Send + Sync + 'static {
    /// A client connected; gives a number that no other connection has.
    fn connected(&self) -> u64;
    /// Its connection ended.
    fn disconnected(&self, connection: u64);
    /// Begins a call. The next one of the same connection begins when the returned future is ready.
    fn begin(self: &Arc<Self>, peer: Peer, call: Call) -> Pending<Step>;
    /// Notes bytes read from and written to clients.
    fn moved(&self, received: usize, sent: usize);
}

/// Both ends of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The client's address.
    pub client: SocketAddr,
    /// The address that it connected to.
    pub local: SocketAddr,
    /// The connection's number.
    pub connection: u64,
}

/// Bounds of one connection.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// Of its session.
    pub session: SessionLimits,
    /// Closed after this long without a request (`connections.max.idle.ms`).
    pub idle_max: Duration,
    /// Where memory beyond its own comes from.
    pub budget: Budget,
}

/// Why a connection was closed by us.
#[derive(Debug, Error)]
pub enum ConnectionError {
    /// What the client sent makes no sense.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A request without an answer failed.
    #[error("{0}")]
    Refused(String),
}

/// Serves one connection until either side has had enough; `stop` lets what is in flight finish and takes nothing more.
pub async fn serve<C: Calls>(
    mut stream: TcpStream,
    peer: Peer,
    calls: Arc<C>,
    limits: ConnectionLimits,
    mut stop: watch::Receiver<bool>,
) -> Result<(), ConnectionError> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = stream.split();
    let idle_max = limits.idle_max;
    let mut connection = Connection::new(peer, calls, limits);
    let mut stopping = *stop.borrow();
    let mut idle_at = Instant::now() + idle_max;
    loop {
        connection.begin_calls(stopping)?;
        connection.collect_output();
        if connection.is_finished(stopping) {
            return Ok(());
        }
        let starved = !connection.balance_memory();
        idle_at = idle_at.min(Instant::now() + connection.patience(idle_max));
        let wants_input = connection.wants_input() && !stopping;
        let budget = connection.budget.clone();
        let is_idle = connection.is_idle();
        let Connection { input, output, serial, waiting, .. } = &mut connection;
        tokio::select! {
            read = reader.read_buf(input), if wants_input && !starved => {
                connection.received(read?);
                idle_at = Instant::now() + connection.patience(idle_max);
            }
            more = budget.hold(CLAIM_BYTES), if wants_input && starved => connection.holds(more),
            step = async { serial.as_mut().expect("checked by the guard").1.as_mut().await }, if serial.is_some() => {
                connection.stepped(step)?;
            }
            Some((id, answer)) = waiting.next(), if !waiting.is_empty() => connection.answered(id, answer)?,
            sent = write(&mut writer, output), if !output.is_empty() => {
                idle_at = Instant::now() + idle_max;
                connection.sent(sent?);
            }
            () = stopped(&mut stop), if !stopping => {
                stopping = true;
                idle_at = Instant::now() + STOP_GRACE;
            }
            () = sleep_until(idle_at), if is_idle || stopping => return Ok(()),
        }
    }
}

async fn write(writer: &mut (impl AsyncWriteExt + Unpin), output: &Output) -> io::Result<usize> {
    let slices: Vec<IoSlice<'_>> =
        output.pieces.iter().take(WRITE_PIECES_MAX).map(|piece| IoSlice::new(piece)).collect();
    match writer.write_vectored(&slices).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        sent => Ok(sent),
    }
}

/// Answers on their way to the socket.
#[derive(Default)]
struct Output {
    pieces: std::collections::VecDeque<Bytes>,
    /// Length of all `pieces`.
    bytes: usize,
    /// Bytes that were ever pushed.
    pushed: u64,
    /// Bytes of them that the socket took.
    taken: u64,
    /// Small pieces that are not in `pieces` yet; empty whenever something is written.
    open: BytesMut,
}

impl Output {
    fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The client has to read before it is given more.
    fn is_backed_up(&self) -> bool {
        self.bytes > UNSENT_BYTES_MAX || self.pieces.len() >= WRITE_PIECES_MAX
    }

    /// Small pieces are copied together: a write of many of them costs more than the copy.
    fn push(&mut self, piece: Bytes) {
        self.pushed += piece.len() as u64;
        if piece.len() >= COPY_BYTES_MAX {
            self.seal();
            self.bytes += piece.len();
            self.pieces.push_back(piece);
            return;
        }
        self.open.extend_from_slice(&piece);
        if self.open.len() >= READ_BYTES {
            self.seal();
        }
    }

    fn seal(&mut self) {
        if !self.open.is_empty() {
            self.bytes += self.open.len();
            self.pieces.push_back(self.open.split().freeze());
        }
    }

    fn advance(&mut self, mut sent: usize) {
        self.bytes -= sent;
        self.taken += sent as u64;
        while let Some(piece) = self.pieces.front_mut() {
            if sent < piece.len() {
                return piece.advance(sent);
            }
            sent -= piece.len();
            self.pieces.pop_front();
        }
    }
}

/// An answer whose leaving somebody watches.
struct Watched {
    id: CallId,
    /// Where it ends among all bytes pushed; None before it is.
    end: Option<u64>,
    watcher: Box<dyn Watcher>,
}

struct Connection<C> {
    peer: Peer,
    calls: Arc<C>,
    session: Session,
    input: BytesMut,
    output: Output,
    /// The call that later ones wait for.
    serial: Option<(CallId, Pending<Step>)>,
    /// Calls that later ones need not wait for.
    waiting: FuturesUnordered<Pending<(CallId, Answer)>>,
    budget: Budget,
    /// Memory beyond the connection's own, for what was read.
    held: Option<Held>,
    /// Memory of answers that are not sent yet.
    answers_held: Vec<Held>,
    /// In the order in which they leave.
    watched: VecDeque<Watched>,
    ended: bool,
}

impl<C: Calls> Connection<C> {
    fn new(peer: Peer, calls: Arc<C>, limits: ConnectionLimits) -> Connection<C> {
        Connection {
            peer,
            calls,
            session: Session::new(limits.session),
            input: BytesMut::new(),
            output: Output::default(),
            serial: None,
            waiting: FuturesUnordered::new(),
            budget: limits.budget,
            held: None,
            answers_held: Vec::new(),
            watched: VecDeque::new(),
            ended: false,
        }
    }

    fn begin_calls(&mut self, stopping: bool) -> Result<(), ConnectionError> {
        if self.serial.is_none()
            && !stopping
            && !self.output.is_backed_up()
            && let Some(call) = self.session.handle_input(&mut self.input)?
        {
            let id = call.id;
            self.serial = Some((id, self.calls.begin(self.peer, call)));
        }
        self.make_room();
        Ok(())
    }

    /// Makes room for the rest of the frame that has begun, so that it need not be copied as it grows; but not for more than
    /// a connection's own memory at a time, or than has come already, whatever its length field says. Exactly that much:
    /// a buffer that grows by itself doubles, and beside the old one takes three times what it holds.
    fn make_room(&mut self) {
        let rest = self.input.first_chunk::<4>().map_or(0, |length| {
            let frame_bytes = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
            (frame_bytes + length.len()).saturating_sub(self.input.len())
        });
        let spare = self.input.capacity() - self.input.len();
        let wanted = rest.min(OWN_BYTES.max(self.input.len()));
        // Not before it is needed: who sends a large frame in small pieces would have it copied for each of them.
        let needed = if rest > 0 { rest.min(READ_BYTES / 4) } else { READ_BYTES / 4 };
        if spare < needed {
            let mut roomy = BytesMut::with_capacity(self.input.len() + wanted.max(READ_BYTES));
            roomy.extend_from_slice(&self.input);
            self.input = roomy;
        }
    }

    fn wants_input(&self) -> bool {
        let handled_at_once = self.serial.is_none() && !self.output.is_backed_up();
        let room = handled_at_once || self.input.len() < READ_AHEAD_BYTES;
        !self.ended && room && self.session.wants_input()
    }

    /// Takes memory from the budget or gives it back, as what was read needs; false if there is none to take.
    fn balance_memory(&mut self) -> bool {
        let room = self.input.capacity().max(self.input.len() + READ_BYTES);
        let needed = (room + self.session.bytes_in_flight()).saturating_sub(OWN_BYTES + READ_BYTES);
        let held = self.held.as_ref().map_or(0, Held::bytes);
        if needed > held {
            let Some(more) = self.budget.try_hold(CLAIM_BYTES) else { return false };
            self.holds(more);
        } else if needed == 0 {
            self.held = None;
        } else if needed + 2 * CLAIM_BYTES < held
            && let Some(held) = &mut self.held
        {
            held.shrink_to(needed + CLAIM_BYTES);
        }
        true
    }

    fn holds(&mut self, more: Held) {
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
    }

    /// How long silence is borne: not long while the connection holds memory that others wait for.
    fn patience(&self, idle_max: Duration) -> Duration {
        if self.held.is_some() { idle_max.min(HOLDING_IDLE_MAX) } else { idle_max }
    }

    /// Nothing of the client's is being worked on.
    fn is_idle(&self) -> bool {
        self.session.requests_in_flight() == 0
    }

    fn is_finished(&self, stopping: bool) -> bool {
        let done = self.serial.is_none() && self.waiting.is_empty() && self.output.is_empty();
        done && (self.ended || stopping)
    }

    fn received(&mut self, bytes: usize) {
        self.calls.moved(bytes, 0);
        self.ended = bytes == 0;
    }

    fn sent(&mut self, bytes: usize) {
        self.calls.moved(0, bytes);
        self.output.advance(bytes);
        if self.ended {
            self.watched.clear(); // the socket takes them, but there is nobody to read them
        }
        let taken = self.output.taken;
        while let Some(watched) =
            self.watched.pop_front_if(|watched| watched.end.is_some_and(|end| end <= taken))
        {
            watched.watcher.left();
        }
        if self.output.is_empty() && self.session.bytes_in_flight() == 0 {
            self.answers_held.clear();
        }
    }

    fn stepped(&mut self, step: Step) -> Result<(), ConnectionError> {
        let (id, _) = self.serial.take().expect("only a running call steps");
        match step {
            Step::Answered(answer) => self.answered(id, answer),
            Step::Waiting(pending) => {
                self.waiting.push(Box::pin(async move { (id, pending.await) }));
                Ok(())
            }
        }
    }

    fn answered(&mut self, id: CallId, answer: Answer) -> Result<(), ConnectionError> {
        match answer {
            Answer::Response(response) => self.session.complete(id, Some(response))?,
            Answer::Held(response, held) => {
                self.session.complete(id, Some(response))?;
                self.answers_held.push(held);
            }
            Answer::Watched(response, held, watcher) => {
                self.session.complete(id, Some(response))?;
                self.answers_held.extend(held);
                self.watched.push_back(Watched { id, end: None, watcher });
            }
            Answer::Silence => self.session.complete(id, None)?,
            Answer::Close(why) => return Err(ConnectionError::Refused(why)),
        }
        Ok(())
    }

    fn collect_output(&mut self) {
        while self.output.pieces.len() < WRITE_PIECES_MAX
            && let Some(pieces) = self.session.poll_transmit()
        {
            pieces.into_iter().for_each(|piece| self.output.push(piece));
            let pushed = self.output.pushed;
            let unplaced = self.watched.iter_mut().filter(|watched| watched.end.is_none());
            for watched in unplaced.take_while(|watched| self.session.is_transmitted(watched.id)) {
                watched.end = Some(pushed);
            }
        }
        self.output.seal();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_does_not_read_is_backed_up_until_it_does() {
        let mut output = Output::default();
        let answer = Bytes::from(vec![7; 100_000]);
        for _ in 0..2 {
            output.push(answer.clone());
            output.push(Bytes::from_static(b"a small piece between"));
            output.seal();
            assert!(!output.is_backed_up());
        }
        output.push(answer.clone());
        assert!(output.is_backed_up());
        output.advance(50_000);
        assert!(!output.is_backed_up());
        output.advance(250_000 + 2 * 21);
        assert_eq!((output.bytes, output.is_empty()), (0, true));
        for _ in 0..WRITE_PIECES_MAX {
            assert!(!output.is_backed_up());
            output.push(Bytes::from(vec![7; COPY_BYTES_MAX]));
        }
        assert!(output.is_backed_up());
    }
}
