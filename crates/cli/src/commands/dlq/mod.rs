//! `tallymq dlq …`: list, show, redrive, purge. What is asked for is decided here; reading and sending is the SDK's, so that both
//! agree about what a dead letter is and which are settled. Works on any cluster that speaks the Kafka protocol.

mod filter;
mod list;
mod purge;
mod redrive;
mod show;

use tallymq_client::{Cluster, DeadLetter, DeadLetterError, DeadLetters};

use crate::{
    arguments::{Connection, DlqCommand},
    client::{CLIENT_ID, Client},
    failure::Failure,
};

/// Runs one of them.
pub async fn run(command: DlqCommand, json: bool) -> Result<(), Failure> {
    match command {
        DlqCommand::List { topics, connection } => {
            list::run(cluster(&connection, "list").await?, topics, json).await
        }
        DlqCommand::Show { topic, filter, limit, connection } => {
            let wanted = filter::Wanted::parse(&filter)?;
            show::run(letters(&connection, "show", topic).await?, wanted, limit, json).await
        }
        DlqCommand::Redrive { topic, filter, to, execute, connection } => {
            let wanted = filter::Wanted::parse(&filter)?;
            check_name(&topic)?;
            let letters = letters(&connection, "redrive", topic).await?;
            redrive::run(letters, wanted, &redrive::Redrive { to, execute }, json).await
        }
        DlqCommand::Purge { topic, filter, below, execute, connection } => {
            let what = match below.is_empty() {
                true => purge::What::Letters(filter::Wanted::parse(&filter)?),
                false => purge::What::Below(filter::places(&below, "--below")?),
            };
            check_name(&topic)?;
            purge::run(letters(&connection, "purge", topic).await?, what, execute, json).await
        }
    }
}

/// What is not called like a dead-letter topic is somebody's topic, whose records nobody gave up on.
fn check_name(topic: &str) -> Result<(), Failure> {
    if DeadLetters::is_name_of(topic) {
        return Ok(());
    }
    Err(Failure::Usage(format!("{topic} is no dead-letter topic: the name of one ends with .dead")))
}

async fn letters(connection: &Connection, what: &str, topic: String) -> Result<DeadLetters, Failure> {
    Ok(DeadLetters::in_topic(cluster(connection, what).await?, topic))
}

/// How many letters are so.
async fn counted(letters: &DeadLetters, mut is_so: impl FnMut(&DeadLetter) -> bool) -> Result<u64, Failure> {
    let mut stream = letters.stream();
    let mut counted = 0;
    while let Some(letter) = stream.next().await {
        counted += u64::from(is_so(&letter?));
    }
    Ok(counted)
}

/// Where the SDK finds the cluster, once a broker answered: it would go on trying for long, and say less.
async fn cluster(connection: &Connection, what: &str) -> Result<Cluster, Failure> {
    Client::connect(connection).await?;
    let cluster = Cluster::at(&connection.bootstrap);
    Ok(cluster.set("client.id", format!("{CLIENT_ID}-dlq-{what}")))
}

impl From<DeadLetterError> for Failure {
    fn from(error: DeadLetterError) -> Failure {
        Failure::Failed(error.to_string())
    }
}
