//! A thin Kafka client: addresses, connections, who leads what. Works against any broker that speaks the protocol.
//! Policy (what to retry, what to print) belongs to the commands.

mod address;
mod configs;
mod connection;
mod described_groups;
mod error;
mod fetching;
mod groups;
mod member;
mod offsets;
mod partitioner;
mod peeking;
mod producer;
mod topics;
mod weakened;

use std::{collections::HashMap, time::Duration};

pub use address::Address;
pub use configs::Config;
pub use connection::{Connection, Pending};
pub use described_groups::{CONSUMERS, GroupInfo};
pub use error::{ClientError, check};
pub use fetching::{Fetched, Fetcher};
pub use groups::Position;
pub use member::Member;
pub use offsets::{EARLIEST, LATEST};
pub use partitioner::Partitioner;
pub use producer::{Batch, Outcome, Producer};
pub use topics::TopicInfo;

/// Calls an API and gives its own answer type.
macro_rules! call {
    ($connection:expr, $api:ident, $request:expr) => {
        match $connection.call($request).await {
            Ok(tallymq_gateway::kafka::Response::$api(answer)) => Ok(answer),
            Ok(other) => Err($crate::client::ClientError::WrongAnswer(other.api())),
            Err(error) => Err(error),
        }
    };
}
pub(crate) use call;

/// What a command calls itself to brokers.
pub const CLIENT_ID: &str = "tallymq-cli";

/// Connections to the brokers of one cluster, opened as needed.
pub struct Client {
    client_id: String,
    bootstrap: Vec<Address>,
    timeout: Duration,
    connections: HashMap<Address, Connection>,
    coordinators: HashMap<String, Address>,
}

impl Client {
    /// Reads the addresses; connects to the first that answers.
    pub async fn connect(arguments: &crate::arguments::Connection) -> Result<Client, ClientError> {
        Client::connect_as(arguments, CLIENT_ID.to_owned()).await
    }

    /// As a tool that moves positions: with a name of its own, so that a broker that keeps accounts cannot take what this
    /// commits for the commit of somebody who read before from here, `consume` for instance.
    pub async fn connect_as_tool(
        arguments: &crate::arguments::Connection,
        tool: &str,
    ) -> Result<Client, ClientError> {
        Client::connect_as(arguments, format!("{CLIENT_ID}-{tool}")).await
    }

    async fn connect_as(
        arguments: &crate::arguments::Connection,
        client_id: String,
    ) -> Result<Client, ClientError> {
        let mut client = Client {
            client_id,
            bootstrap: address::parse_list(&arguments.bootstrap)?,
            timeout: Duration::from_secs(arguments.timeout.max(1)),
            connections: HashMap::new(),
            coordinators: HashMap::new(),
        };
        client.any().await?;
        Ok(client)
    }

    /// How long to go on trying.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A connection to any of the bootstrap brokers.
    pub async fn any(&mut self) -> Result<Connection, ClientError> {
        let mut last = None;
        for address in self.bootstrap.clone() {
            match self.to(&address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("the list of addresses is not empty"))
    }

    /// The connection to this broker.
    pub async fn to(&mut self, address: &Address) -> Result<Connection, ClientError> {
        if let Some(connection) = self.connections.get(address)
            && connection.is_open()
        {
            return Ok(connection.clone());
        }
        let connection = Connection::open(address, self.timeout, &self.client_id).await?;
        self.connections.insert(address.clone(), connection.clone());
        Ok(connection)
    }
}
