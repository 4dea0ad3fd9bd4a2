//! Which groups there are, and who is in one, whichever of the two group protocols it uses.

use tallymq_gateway::kafka::{
    ErrorCode,
    consumer_protocol::{self, ConsumerProtocolAssignment},
    messages::{
        consumer_group_describe::ConsumerGroupDescribeRequest,
        describe_groups::DescribeGroupsRequest,
        list_groups::{ListGroupsRequest, ListedGroup},
    },
};

use super::{Address, Client, ClientError, Position, call, check};

/// A group.
#[derive(Clone, Debug)]
pub struct GroupInfo {
    /// `Stable`, `Empty` and so on.
    pub state: String,
    /// `consumer` (KIP-848) or `classic`.
    pub protocol: &'static str,
    /// The name of the assignor.
    pub assignor: String,
    /// The members.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Clone, Debug)]
pub struct GroupMember {
    /// Its id.
    pub id: String,
    /// The client's own name.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// What is assigned to it.
    pub partitions: Vec<Position>,
}

/// The protocol type of groups of consumers.
pub const CONSUMERS: &str = "consumer";

impl Client {
    /// All groups, by name.
    pub async fn groups(&mut self) -> Result<Vec<ListedGroup>, ClientError> {
        let mut addresses: Vec<_> = self.brokers().await?;
        addresses.sort();
        addresses.dedup();
        let mut groups = Vec::new();
        for address in addresses {
            groups.extend(self.groups_of(&address).await?);
        }
        groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
        Ok(groups)
    }

    /// The groups that a broker coordinates.
    pub async fn groups_of(&mut self, address: &Address) -> Result<Vec<ListedGroup>, ClientError> {
        let answer = call!(self.to(address).await?, ListGroups, ListGroupsRequest::default())?;
        check("groups", answer.error_code, None)?;
        Ok(answer.groups)
    }

    /// One group.
    pub async fn group(&mut self, name: &str) -> Result<GroupInfo, ClientError> {
        match self.consumer_group(name).await? {
            Some(group) => Ok(group),
            None => self.classic_group(name).await,
        }
    }

    /// As a group of the consumer protocol; None if it is not one, or the broker does not know that protocol.
    async fn consumer_group(&mut self, name: &str) -> Result<Option<GroupInfo>, ClientError> {
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec![name.to_owned()],
            ..ConsumerGroupDescribeRequest::default()
        };
        let answer = match call!(self.coordinator(name).await?, ConsumerGroupDescribe, request) {
            Err(ClientError::Unsupported { .. }) => return Ok(None),
            answer => answer?,
        };
        let Some(found) = answer.groups.into_iter().next() else {
            return Ok(None);
        };
        if matches!(found.error_code, ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion) {
            return Ok(None);
        }
        check(format!("group {name}"), found.error_code, found.error_message)?;
        let members = found.members.into_iter().map(|member| {
            let topics = member.assignment.topic_partitions.into_iter();
            GroupMember {
                id: member.member_id,
                client_id: member.client_id,
                host: member.client_host,
                partitions: positions(topics.map(|topic| (topic.topic_name, topic.partitions))),
            }
        });
        Ok(Some(GroupInfo {
            state: found.group_state,
            protocol: "consumer",
            assignor: found.assignor_name,
            members: members.collect(),
        }))
    }

    async fn classic_group(&mut self, name: &str) -> Result<GroupInfo, ClientError> {
        let request =
            DescribeGroupsRequest { groups: vec![name.to_owned()], ..DescribeGroupsRequest::default() };
        let answer = call!(self.coordinator(name).await?, DescribeGroups, request)?;
        let not_found = || ClientError::refused(format!("group {name}"), ErrorCode::GroupIdNotFound, None);
        let found = answer.groups.into_iter().next().ok_or_else(not_found)?;
        check(format!("group {name}"), found.error_code, found.error_message)?;
        if found.group_state == "Dead" {
            return Err(not_found());
        }
        let members = found.members.into_iter().map(|member| {
            // Empty while the group rebalances.
            let assignment: ConsumerProtocolAssignment =
                consumer_protocol::decode(member.member_assignment).unwrap_or_default();
            let topics = assignment.assigned_partitions.into_iter();
            GroupMember {
                id: member.member_id,
                client_id: member.client_id,
                host: member.client_host,
                partitions: positions(topics.map(|topic| (topic.topic, topic.partitions))),
            }
        });
        Ok(GroupInfo {
            state: found.group_state,
            protocol: "classic",
            assignor: found.protocol_data,
            members: members.collect(),
        })
    }
}

/// Each partition by itself.
fn positions(topics: impl Iterator<Item = (String, Vec<i32>)>) -> Vec<Position> {
    let of_topic = |(topic, partitions): (String, Vec<i32>)| {
        partitions.into_iter().map(move |partition| (topic.clone(), partition))
    };
    topics.flat_map(of_topic).collect()
}
