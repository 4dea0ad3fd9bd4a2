//! Reading as a member of a group: print, commit, and only then let go of what is taken away. A record is printed at
//! least once, and only by the member that owns its partition.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{BACKOFF, FETCH_WAIT, print::Printer, resolve};
use crate::{
    arguments::ConsumeArguments,
    client::{Client, ClientError, Fetcher, LATEST, Member, Position},
    failure::Failure,
    position::PositionSpec,
};

/// Joins, reads, commits, leaves.
pub async fn run(
    mut client: Client,
    group: &str,
    arguments: &ConsumeArguments,
    begin: PositionSpec,
    printer: Printer,
    stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let topic = client.topic_with_leaders(&arguments.topic, false).await?;
    let heart = Client::connect(&arguments.connection).await?;
    let member = Member::join(heart, group, &topic.name, topic.id);
    let mut reader = Reader {
        client,
        group: group.to_owned(),
        member,
        fetcher: Fetcher::new(topic),
        begin,
        printer,
        ends: BTreeMap::new(),
        fenced_count: 0,
        follow: arguments.follow,
        joined_at: Instant::now(),
    };
    let read = reader.read(stopped).await;
    reader.member.leave().await;
    read
}

/// Why a round failed. What cannot be printed is not committed, and does not pass.
enum RoundError {
    Client(ClientError),
    Print(io::Error),
}

impl From<ClientError> for RoundError {
    fn from(error: ClientError) -> RoundError {
        RoundError::Client(error)
    }
}

struct Reader {
    client: Client,
    group: String,
    member: Member,
    fetcher: Fetcher,
    begin: PositionSpec,
    printer: Printer,
    /// Where the owned partitions ended when they were assigned.
    ends: BTreeMap<i32, i64>,
    fenced_count: u64,
    follow: bool,
    joined_at: Instant,
}

impl Reader {
    async fn read(&mut self, mut stopped: watch::Receiver<bool>) -> Result<(), Failure> {
        let mut failing_since: Option<Instant> = None;
        loop {
            if *stopped.borrow() || self.printer.is_done() {
                return Ok(());
            }
            let round = self.round(&mut stopped).await;
            match round {
                Ok(true) => return Ok(()),
                Ok(false) => failing_since = None,
                Err(RoundError::Print(error)) => return Err(error.into()),
                Err(RoundError::Client(error)) => {
                    let since = *failing_since.get_or_insert_with(Instant::now);
                    if !retriable(&error) || since.elapsed() > self.client.timeout() {
                        return Err(error.into());
                    }
                    self.client.forget_coordinator(&self.group);
                    sleep(BACKOFF).await;
                    // If the broker is still away, the next round tells.
                    drop(self.fetcher.refresh(&mut self.client).await);
                }
            }
        }
    }

    /// Follows the assignment, reads once, prints, commits. Whether everything was read.
    async fn round(&mut self, stopped: &mut watch::Receiver<bool>) -> Result<bool, RoundError> {
        let view = self.member.view();
        if let Some(why) = view.failed {
            let what = format!("group {}", self.group);
            return Err(ClientError::Records { what, reason: why }.into());
        }
        if view.fenced_count != self.fenced_count {
            self.fenced_count = view.fenced_count;
            self.let_go(&BTreeSet::new());
        }
        if let Some(assigned) = &view.assigned {
            self.follow(assigned).await?;
            self.member.own(assigned.clone(), self.fenced_count);
        }
        if self.fetcher.positions().is_empty() {
            let patient = self.follow || self.joined_at.elapsed() < self.client.timeout();
            if !patient {
                let what = format!("group {}", self.group);
                let reason = "no partition was assigned; the other members have them all".to_owned();
                return Err(ClientError::Records { what, reason }.into());
            }
            tokio::select! {
                () = self.member.changed(FETCH_WAIT) => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
            return Ok(false);
        }
        if !self.follow && self.is_finished() {
            return Ok(true);
        }
        let fetched = tokio::select! {
            fetched = self.fetcher.fetch(&mut self.client, FETCH_WAIT) => fetched?,
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(true),
        };
        let mut positions = BTreeMap::new();
        let name = self.fetcher.topic().name.clone();
        for part in &fetched {
            if let Some(next) = self.printer.print(part).map_err(RoundError::Print)? {
                positions.insert((name.clone(), part.partition), next);
            }
        }
        self.commit(&positions).await?;
        Ok(self.printer.is_done())
    }

    /// Makes what is read the same as what is assigned. What goes was committed after it was printed.
    async fn follow(&mut self, assigned: &BTreeSet<i32>) -> Result<(), ClientError> {
        self.let_go(assigned);
        let owned = self.fetcher.positions();
        let new: Vec<i32> =
            assigned.iter().filter(|partition| !owned.contains_key(partition)).copied().collect();
        if new.is_empty() {
            return Ok(());
        }
        if new.iter().any(|partition| self.fetcher.topic().leader(*partition).is_err()) {
            self.fetcher.refresh(&mut self.client).await?;
        }
        let topic = self.fetcher.topic().clone();
        let committed = self.client.committed(&self.group).await?;
        let begins = resolve(&mut self.client, &topic, &new, self.begin).await?;
        let ends = self.client.offsets(&topic, &new, LATEST).await?;
        for partition in new {
            let committed = committed.get(&(topic.name.clone(), partition)).copied();
            let begin = committed.or_else(|| begins.get(&partition).copied()).unwrap_or(0);
            self.fetcher.add(partition, begin);
            self.ends.insert(partition, ends.get(&partition).copied().unwrap_or(0));
        }
        Ok(())
    }

    fn let_go(&mut self, kept: &BTreeSet<i32>) {
        let gone: Vec<i32> =
            self.fetcher.positions().keys().filter(|partition| !kept.contains(partition)).copied().collect();
        for partition in gone {
            self.fetcher.remove(partition);
            self.ends.remove(&partition);
        }
    }

    fn is_finished(&self) -> bool {
        let end_of = |partition| self.ends.get(partition).copied().unwrap_or(0);
        self.fetcher.positions().iter().all(|(partition, offset)| *offset >= end_of(partition))
    }

    /// Commits until it succeeds, somebody else owns the partitions, or time is up.
    async fn commit(&mut self, positions: &BTreeMap<Position, i64>) -> Result<(), ClientError> {
        let deadline = Instant::now() + self.client.timeout();
        if positions.is_empty() {
            return Ok(());
        }
        loop {
            let view = self.member.view();
            if view.fenced_count != self.fenced_count {
                return Ok(());
            }
            let member = self.member.id().to_owned();
            let Err(error) = self.client.commit(&self.group, Some((&member, view.epoch)), positions).await
            else {
                return Ok(());
            };
            if !retriable(&error) || Instant::now() >= deadline {
                return Err(error);
            }
            self.client.forget_coordinator(&self.group);
            // A stale epoch: the heartbeat brings the new one.
            self.member.changed(BACKOFF).await;
        }
    }
}

/// Errors that the heartbeat resolves, besides those that pass by themselves.
fn retriable(error: &ClientError) -> bool {
    use tallymq_gateway::kafka::ErrorCode::{
        FencedMemberEpoch, IllegalGeneration, StaleMemberEpoch, UnknownMemberId,
    };
    let by_heartbeat = [FencedMemberEpoch, IllegalGeneration, StaleMemberEpoch, UnknownMemberId];
    match error {
        ClientError::Refused { code, .. } if by_heartbeat.contains(code) => true,
        other => other.is_retriable(),
    }
}
