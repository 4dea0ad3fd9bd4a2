//! The red-packet service with an inbox and its effects in Redis. The work itself bears being done twice, as a Redis inbox
//! asks for; how often that happened is counted.

use std::{collections::HashMap, sync::Arc, time::Duration};

use redis::{
    AsyncCommands, Client, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tallymq_client::{
    HandlerError, Received, headers,
    inbox::{IdSource, MessageId, Once, RedisInbox, RedisInboxSettings},
};

use super::{GROUP, Order, Seen, serve};
use crate::{Failure, arguments::Arguments, effects::Effects};

/// How often an order's work was done, and the red packets in order.
const WORK: &str = "work";
const PACKETS: &str = "red-packets";

/// Handles orders until it is killed.
pub async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let connection = connected(arguments.text("packets")?).await;
    let settings = RedisInboxSettings::default().lease(Duration::from_millis(1500));
    let inbox = RedisInbox::new(connection.clone(), GROUP).settings(settings);
    let seen = Arc::new(Seen::open(arguments)?);
    serve(arguments, move |record: Received| {
        let (connection, inbox, seen) = (connection.clone(), inbox.clone(), seen.clone());
        async move { handle(connection, &inbox, &seen, &record).await }
    })
    .await
}

async fn handle(
    connection: ConnectionManager,
    inbox: &RedisInbox<ConnectionManager>,
    seen: &Seen,
    record: &Received,
) -> Result<(), HandlerError> {
    let order = seen.order(record)?;
    let id = IdSource::Header(headers::ID.into()).id(record)?;
    // A Redis that is away for a while is no reason to give an order up.
    pack(connection, inbox, &id, order).await.map_err(HandlerError::not_now)?;
    seen.progress.add(1);
    Ok(())
}

async fn pack(
    mut connection: ConnectionManager,
    inbox: &RedisInbox<ConnectionManager>,
    id: &MessageId,
    Order { number, customer }: Order,
) -> Result<(), Failure> {
    let work = async {
        let script = "if redis.call('HINCRBY', KEYS[1], ARGV[1], 1) == 1 then \
            redis.call('RPUSH', KEYS[2], ARGV[1] .. ' ' .. ARGV[2]) end";
        let script = Script::new(script);
        let mut call = script.key(WORK);
        call.key(PACKETS).arg(number).arg(customer);
        Ok(call.invoke_async::<()>(&mut connection).await?)
    };
    match inbox.once(id, work).await? {
        Once::Done(()) | Once::Repeated => Ok(()),
        Once::Busy => Err("another consumer has it".into()),
    }
}

async fn connected(socket: &str) -> ConnectionManager {
    // An answer that is missing for so long is an error; the next attempt connects anew.
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(1)))
        .set_response_timeout(Some(Duration::from_secs(1)))
        .set_min_delay(Duration::from_millis(20))
        .set_max_delay(Duration::from_millis(200));
    loop {
        let opened = async {
            let client = Client::open(format!("redis+unix://{socket}"))?;
            client.get_connection_manager_with_config(config.clone()).await
        };
        match opened.await {
            Ok(connection) => return connection,
            Err(error) => eprintln!("no Redis yet: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What there is in the end.
pub async fn count(socket: &str) -> Result<Effects, Failure> {
    let mut connection = connected(socket).await;
    let work: HashMap<i64, i64> = connection.hgetall(WORK).await?;
    let packets: Vec<String> = connection.lrange(PACKETS, 0, -1).await?;
    let mut latest: HashMap<&str, i64> = HashMap::new();
    let mut numbers = Vec::with_capacity(packets.len());
    let mut effects = Effects { packets: packets.len() as i64, ..Effects::default() };
    for packet in &packets {
        let (number, customer) = packet.split_once(' ').ok_or("a red packet without a customer")?;
        let number: i64 = number.parse()?;
        let latest = latest.entry(customer).or_insert(-1);
        effects.out_of_order += i64::from(*latest > number);
        *latest = number.max(*latest);
        numbers.push(number);
    }
    numbers.sort_unstable();
    effects.lowest_order = numbers.first().copied().unwrap_or(-1);
    effects.highest_order = numbers.last().copied().unwrap_or(-1);
    numbers.dedup();
    effects.distinct_orders = numbers.len() as i64;
    effects.redone = work.values().map(|times| times - 1).sum();
    Ok(effects)
}
