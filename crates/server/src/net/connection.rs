//! One client connection: moves bytes between the socket and the session, starts calls and hands their answers back.
//! No API is known here.
//!
//! Calls of a connection are handled one after the other, as Kafka does, except produces: those are *submitted* one after
//! the other, so that their order is kept, and then wait for the disk together.

use std::{collections::VecDeque, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use bytes::BytesMut;
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use tallymq_gateway::kafka::{
    request::Response,
    session::{Call, CallId, Session, SessionError, SessionLimits},
};
use thiserror::Error;
use tokio::{
    io::AsyncReadExt,
    net::{TcpStream, tcp::ReadHalf},
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use super::{
    ending::{Ending, STOP_GRACE},
    output::{Output, WRITE_PIECES_MAX, write},
};
use crate::{
    memory::{Budget, Held},
    stop::stopped,
};

/// Room that is made in the input before each read.
const READ_BYTES: usize = 64 * 1024;
/// How far to read ahead while a call is being handled that nothing may overtake.
const READ_AHEAD_BYTES: usize = 256 * 1024;
/// Memory that every connection may use for what it reads; more comes from the budget.
const OWN_BYTES: usize = 1 << 20;
/// How long a connection that holds memory of the budget may be silent, and how much ends a silence then, unless it is all
/// that was due: a byte now and then does not.
const HOLDING_IDLE_MAX: Duration = Duration::from_secs(30);
const HOLDING_BYTES_MIN: usize = 64 * 1024;

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
    /// Whether a call may wait for what other clients do.
    fn waits_for_others(&self, call: &Call) -> bool;
    /// Begins a call. The next one of the same connection begins when the returned future is ready. `gone` turns true once
    /// nobody is there to take the answer.
    fn begin(self: &Arc<Self>, peer: Peer, gone: &watch::Receiver<bool>, call: Call) -> Pending<Step>;
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
    stop: watch::Receiver<bool>,
) -> Result<(), ConnectionError> {
    let mut connection = Connection::new(peer, calls, limits);
    let served = converse(&mut stream, &mut connection, stop).await;
    drop(stream);
    connection.finish().await;
    served
}

async fn converse<C: Calls>(
    stream: &mut TcpStream,
    connection: &mut Connection<C>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), ConnectionError> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = stream.split();
    let idle_max = connection.limits.idle_max;
    let mut idle_at = Instant::now() + idle_max;
    let mut ending = stop.borrow().then(Ending::begin);
    loop {
        let stopping = ending.is_some();
        let had_output = !connection.output.is_empty();
        // Before calls begin, since answers that are silence make room without a byte being written; and behind that, since
        // the session answers some by itself.
        connection.collect_output();
        connection.begin_calls(stopping)?;
        connection.collect_output();
        if connection.is_finished(stopping) {
            return Ok(());
        }
        let wants_input = connection.wants_input() && !stopping;
        let starved = !connection.balance_memory(wants_input);
        connection.make_room();
        let soon = Instant::now() + connection.patience();
        // An answer may have taken long: its time to leave begins now.
        idle_at = if had_output || connection.output.is_empty() { idle_at.min(soon) } else { soon };
        let waits_for_disk = connection.waits_for_disk();
        let ends_at = ending.as_mut().map_or(idle_at, |ending| ending.at(waits_for_disk));
        let is_idle = connection.is_idle();
        // Whoever has closed a connection gets nothing over it any more, and may have asked elsewhere since. Looked at before an
        // answer is written: behind that, the client may have read it first.
        let has_ended = connection.is_watched() && has_ended(&mut reader);
        let Connection { input, output, serial, waiting, claim, .. } = connection;
        tokio::select! {
            read = reader.read_buf(input), if wants_input && !starved => {
                if connection.received(read?) {
                    idle_at = Instant::now() + connection.patience();
                }
            }
            more = async { claim.as_mut().expect("checked by the guard").as_mut().await }, if claim.is_some() => {
                connection.holds(more);
            }
            step = async { serial.as_mut().expect("checked by the guard").1.as_mut().await }, if serial.is_some() => {
                connection.stepped(step)?;
            }
            Some((id, answer)) = waiting.next(), if !waiting.is_empty() => connection.answered(id, answer)?,
            sent = write(&mut writer, output), if !output.is_empty() => {
                connection.sent(sent?, has_ended);
                idle_at = Instant::now() + idle_max;
            }
            () = stopped(&mut stop), if !stopping => {
                ending = Some(Ending::begin());
            }
            () = sleep_until(ends_at), if is_idle || stopping => return Ok(()),
        }
    }
}

/// Whether the client's last byte was read, and its end has come behind that.
fn has_ended(reader: &mut ReadHalf<'_>) -> bool {
    matches!(reader.peek(&mut [0]).now_or_never(), Some(Ok(0)))
}

/// An answer whose leaving somebody watches, or that holds memory until then.
struct Watched {
    id: CallId,
    /// Where it ends among all bytes pushed; None before it is.
    end: Option<u64>,
    watcher: Option<Box<dyn Watcher>>,
    _held: Option<Held>,
}

struct Connection<C> {
    peer: Peer,
    calls: Arc<C>,
    session: Session,
    input: BytesMut,
    output: Output,
    /// The call that later ones wait for, and whether it waits for other clients itself.
    serial: Option<(CallId, Pending<Step>)>,
    serial_waits_for_others: bool,
    /// Calls that later ones need not wait for.
    waiting: FuturesUnordered<Pending<(CallId, Answer)>>,
    limits: ConnectionLimits,
    /// Memory beyond the connection's own, for what was read and for the frame that is being read.
    held: Option<Held>,
    /// The memory that it waits for. Kept for as long as it waits: its place among those who wait is in it.
    claim: Option<Pending<Held>>,
    /// In the order in which they leave.
    watched: VecDeque<Watched>,
    /// Bytes received since a silence ended.
    trickled: usize,
    /// The client sends nothing any more.
    ended: bool,
    gone: watch::Sender<bool>,
    is_gone: watch::Receiver<bool>,
}

impl<C: Calls> Connection<C> {
    fn new(peer: Peer, calls: Arc<C>, limits: ConnectionLimits) -> Connection<C> {
        let (gone, is_gone) = watch::channel(false);
        Connection {
            peer,
            calls,
            session: Session::new(limits.session),
            input: BytesMut::new(),
            output: Output::default(),
            serial: None,
            serial_waits_for_others: false,
            waiting: FuturesUnordered::new(),
            limits,
            held: None,
            claim: None,
            watched: VecDeque::new(),
            trickled: 0,
            ended: false,
            gone,
            is_gone,
        }
    }

    fn begin_calls(&mut self, stopping: bool) -> Result<(), ConnectionError> {
        if self.serial.is_none()
            && !stopping
            && !self.output.is_backed_up()
            && let Some(call) = self.session.handle_input(&mut self.input)?
        {
            let id = call.id;
            self.serial_waits_for_others = self.calls.waits_for_others(&call);
            self.serial = Some((id, self.calls.begin(self.peer, &self.is_gone, call)));
        }
        Ok(())
    }

    /// What has begun comes to its end without anybody else's help.
    fn waits_for_disk(&self) -> bool {
        !self.waiting.is_empty() || (self.serial.is_some() && !self.serial_waits_for_others)
    }

    /// Nobody takes answers any more. Whoever waits for something is told so, and what has begun comes to its end: half of a
    /// change may be applied already.
    async fn finish(&mut self) {
        self.gone.send_replace(true);
        self.watched.clear();
        (self.held, self.claim) = (None, None);
        if let Some((_, step)) = self.serial.take() {
            // What it says interests nobody; what takes longer than that waits, and has changed nothing yet.
            drop(timeout(STOP_GRACE, step).await);
        }
    }

    /// Length of the frame that is being read, its length field included; 0 if that is not known yet.
    fn frame_bytes(&self) -> usize {
        self.input.first_chunk::<4>().map_or(0, |length| {
            let bytes = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
            bytes.min(self.limits.session.frame_bytes_max) + length.len()
        })
    }

    /// Makes room for the rest of the frame that has begun, so that it need not be copied as it grows: for all of it once its
    /// memory is held, and else for no more than a connection's own. Exactly that much: a buffer that grows by itself
    /// doubles, and beside the old one takes three times what it holds.
    fn make_room(&mut self) {
        if self.has_frame() {
            return;
        }
        let rest = self.frame_bytes().saturating_sub(self.input.len());
        let spare = self.input.capacity() - self.input.len();
        // Not before it is needed: who sends a frame in small pieces would have it copied for each of them.
        let needed = if rest > 0 { rest.min(READ_BYTES / 4) } else { READ_BYTES / 4 };
        if spare < needed {
            let held = self.held.as_ref().map_or(0, Held::bytes);
            let wanted = rest.min((OWN_BYTES + READ_BYTES + held).saturating_sub(self.input.len()));
            // Small frames share a buffer; a large one has its own, which is no larger than what is held for it.
            let more = if self.input.len() + rest > READ_BYTES { wanted.max(needed) } else { READ_BYTES };
            let mut roomy = BytesMut::with_capacity(self.input.len() + more);
            roomy.extend_from_slice(&self.input);
            self.input = roomy;
        }
    }

    fn wants_input(&self) -> bool {
        let handled_at_once = self.serial.is_none() && !self.output.is_backed_up();
        let room = handled_at_once || self.input.len() < READ_AHEAD_BYTES;
        let is_full = self.has_frame() && self.input.len() == self.input.capacity();
        !self.ended && room && !is_full && self.session.wants_input()
    }

    /// A whole frame waits. What comes behind it has to fit into the room that there is: if it were moved to a larger buffer
    /// together with that frame, the old one would stay for as long as a single record of the frames before is kept, which
    /// may be for ever.
    fn has_frame(&self) -> bool {
        let frame_bytes = self.frame_bytes();
        frame_bytes > 0 && self.input.len() >= frame_bytes
    }

    /// Bytes beyond its own that it needs: for the requests that are being worked on, which come to their end whatever others
    /// hold, and for the whole of a frame that is read now. Never for a part of one: of several clients that each had memory for
    /// a part of theirs none might ever get the rest.
    fn needed_bytes(&self, reads: bool) -> usize {
        let frame_bytes = if reads && self.serial.is_none() { self.frame_bytes() } else { 0 };
        let length = self.input.len();
        let reading = if frame_bytes > length { frame_bytes } else { length + READ_BYTES };
        let input = reading.max(self.input.capacity());
        (input + self.session.bytes_in_flight()).saturating_sub(OWN_BYTES + READ_BYTES)
    }

    /// Takes memory from the budget or gives it back, as what is read needs; false while there is too little to read on.
    fn balance_memory(&mut self, reads: bool) -> bool {
        let needed = self.needed_bytes(reads);
        let held = self.held.as_ref().map_or(0, Held::bytes);
        if needed <= held {
            self.claim = None;
            if needed == 0 {
                self.held = None;
            } else if let Some(held) = &mut self.held {
                held.shrink_to(needed);
            }
            return true;
        }
        if !reads {
            self.claim = None;
        } else if self.claim.is_none() {
            match self.limits.budget.try_hold(needed - held) {
                Some(more) => {
                    self.holds(more);
                    return true;
                }
                None => self.claim = Some(Box::pin(self.limits.budget.hold(needed - held))),
            }
        }
        false
    }

    fn holds(&mut self, more: Held) {
        self.claim = None;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
    }

    /// How long silence is borne: not long while the connection holds memory that others wait for.
    fn patience(&self) -> Duration {
        let idle_max = self.limits.idle_max;
        if self.held.is_some() { idle_max.min(HOLDING_IDLE_MAX) } else { idle_max }
    }

    /// It is the client's turn: nothing of its own is being worked on, or it does not take what there is for it.
    fn is_idle(&self) -> bool {
        self.session.requests_in_flight() == 0 || !self.output.is_empty()
    }

    fn is_finished(&self, stopping: bool) -> bool {
        let done = self.serial.is_none() && self.waiting.is_empty() && self.output.is_empty();
        done && (self.ended || stopping)
    }

    /// Whether that ends the client's silence.
    fn received(&mut self, bytes: usize) -> bool {
        self.calls.moved(bytes, 0);
        if bytes == 0 {
            self.ended = true;
            self.gone.send_replace(true);
        }
        self.trickled += bytes;
        let is_whole = self.input.len() >= self.frame_bytes();
        let ends_silence = self.held.is_none() || is_whole || self.trickled >= HOLDING_BYTES_MIN;
        if ends_silence {
            self.trickled = 0;
        }
        ends_silence
    }

    /// Whether somebody waits for what is to be written next to have left.
    fn is_watched(&self) -> bool {
        !self.output.is_empty() && self.watched.front().is_some_and(|first| first.watcher.is_some())
    }

    fn sent(&mut self, bytes: usize, has_ended: bool) {
        self.calls.moved(0, bytes);
        self.output.advance(bytes);
        let taken = self.output.taken;
        while let Some(watched) =
            self.watched.pop_front_if(|watched| watched.end.is_some_and(|end| end <= taken))
        {
            // The socket takes them also if there is nobody to read them any more. The memory is given back in any case, whatever
            // else the client has asked for meanwhile.
            if let Some(watcher) = watched.watcher.filter(|_| !self.ended && !has_ended) {
                watcher.left();
            }
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
                self.watched.push_back(Watched { id, end: None, watcher: None, _held: Some(held) });
            }
            Answer::Watched(response, held, watcher) => {
                self.session.complete(id, Some(response))?;
                self.watched.push_back(Watched { id, end: None, watcher: Some(watcher), _held: held });
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
