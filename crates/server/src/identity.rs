//! Who this node is: cluster id, node id and the number of data groups, made once and kept in `identity.toml` of the
//! data directory. Nothing in it ever changes after that; a data directory that somebody else wrote is refused. A checksum
//! in the last line covers the others: a changed bit must not turn a node into another one.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tallymq_model::{NodeId, batch::crc32c};
use tallymq_storage::disk::{Disk, OpenMode};
use thiserror::Error;
use uuid::Uuid;

const FILE: &str = "identity.toml";
const FILE_NEW: &str = "identity.toml.new";
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// The only layout of a data directory that this version writes and opens.
const FORMAT: u32 = 1;
/// How the last line begins.
const CHECKSUM: &str = "checksum = ";

/// The facts that are fixed when a data directory is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Version of the directory's layout.
    pub format: u32,
    /// 22 characters, as Kafka writes a cluster id.
    pub cluster_id: String,
    /// This broker's id.
    pub node_id: i32,
    /// How many data groups partitions are spread over.
    pub data_groups: u32,
}

/// Why the identity could not be read or made.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The disk failed.
    #[error("{FILE}: {0}")]
    Io(#[from] io::Error),
    /// Not a file of ours, or damaged.
    #[error("{FILE} is damaged or was not written by tallymq: {0}")]
    Damaged(String),
    /// Written by another version.
    #[error(
        "{FILE} has format {found}, this version opens only format {FORMAT}: use the version that wrote it"
    )]
    Format {
        /// The format found.
        found: u32,
    },
    /// The directory belongs to another node.
    #[error("node.id is {configured}, but the data directory belongs to node {kept}")]
    NodeId {
        /// By configuration.
        configured: i32,
        /// In the directory.
        kept: i32,
    },
    /// There is data but no identity.
    #[error(
        "{FILE} is missing although the data directory holds `{0}`: restore it from a backup, or point --data-dir at an empty directory"
    )]
    Missing(String),
}

/// What of a data directory's own is in it as soon as it is more than made.
const OURS: [&str; 5] = [FILE, "wal", "groups", "topics", "keys"];
/// What may be in one that is new: what a refused start leaves, and what a file system puts into its root.
const IN_NEW: [&str; 3] = ["lock", FILE_NEW, "lost+found"];

/// A directory that somebody keeps something else in.
#[derive(Debug, Error)]
#[error(
    "{path} is no data directory: it holds `{found}` and nothing of tallymq's; point --data-dir at a directory that is empty \
     or not there yet"
)]
pub struct ForeignDirectory {
    path: PathBuf,
    /// One of its entries.
    found: String,
}

impl ForeignDirectory {
    /// Looks before anything is written, the lock file included. What cannot be listed is left to who opens it.
    pub fn refuse(path: &Path) -> Result<(), ForeignDirectory> {
        let Ok(entries) = std::fs::read_dir(path) else { return Ok(()) };
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let names: Vec<String> = names.collect();
        if names.iter().any(|name| OURS.contains(&name.as_str())) {
            return Ok(());
        }
        match names.into_iter().filter(|name| !IN_NEW.contains(&name.as_str())).min() {
            Some(found) => Err(ForeignDirectory { path: path.to_path_buf(), found }),
            None => Ok(()),
        }
    }
}

impl Identity {
    /// Reads the identity, or makes it if the data directory is empty. `node_id` None means "whatever is there".
    pub fn open(
        disk: &dyn Disk,
        node_id: Option<NodeId>,
        data_groups: u32,
    ) -> Result<Identity, IdentityError> {
        let identity = match read(disk)? {
            Some(identity) => identity,
            None => make(disk, node_id.unwrap_or(NodeId(1)), data_groups)?,
        };
        if identity.data_groups != data_groups {
            let (kept, configured) = (identity.data_groups, data_groups);
            tracing::warn!(
                kept,
                configured,
                "data.groups is fixed when a data directory is made; the kept number counts"
            );
        }
        match node_id {
            Some(configured) if configured.0 != identity.node_id => {
                Err(IdentityError::NodeId { configured: configured.0, kept: identity.node_id })
            }
            _ => Ok(identity),
        }
    }

    /// The broker's id.
    pub fn node(&self) -> NodeId {
        NodeId(self.node_id)
    }
}

fn read(disk: &dyn Disk) -> Result<Option<Identity>, IdentityError> {
    let file = match disk.open(FILE, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let size_bytes = file.size_bytes()?.min(FILE_BYTES_MAX);
    let mut content = vec![0; size_bytes as usize];
    let read = file.read_at(&mut content, 0)?;
    content.truncate(read);
    parse(&content).map(Some)
}

/// What every version has: whatever else a later one writes, it is refused by its format and not called damaged.
#[derive(Deserialize)]
struct AnyVersion {
    format: u32,
}

fn parse(content: &[u8]) -> Result<Identity, IdentityError> {
    let text = std::str::from_utf8(content).map_err(|error| IdentityError::Damaged(error.to_string()))?;
    let damaged = |error: toml::de::Error| IdentityError::Damaged(error.message().to_owned());
    let facts = text.rfind(CHECKSUM).map_or(text, |at| &text[..at]);
    let AnyVersion { format } = toml::from_str(facts).map_err(damaged)?;
    if text != with_checksum(facts) {
        return Err(IdentityError::Damaged("its checksum does not fit its content".to_owned()));
    }
    match format {
        FORMAT => toml::from_str(facts).map_err(damaged),
        found => Err(IdentityError::Format { found }),
    }
}

/// The facts and the line behind them that says their CRC32C.
fn with_checksum(facts: &str) -> String {
    format!("{facts}{CHECKSUM}\"{:08x}\"\n", crc32c(facts.as_bytes()))
}

fn make(disk: &dyn Disk, node_id: NodeId, data_groups: u32) -> Result<Identity, IdentityError> {
    if let Some(entry) = disk.list("")?.into_iter().find(|entry| entry.is_dir && entry.name != "lost+found") {
        return Err(IdentityError::Missing(entry.name));
    }
    let identity =
        Identity { format: FORMAT, cluster_id: short_id(Uuid::new_v4()), node_id: node_id.0, data_groups };
    let facts = toml::to_string(&identity).map_err(|error| IdentityError::Damaged(error.to_string()))?;
    let text = with_checksum(&facts);
    if disk.list("")?.iter().any(|entry| entry.name == FILE_NEW) {
        disk.remove_file(FILE_NEW)?;
    }
    let file = disk.open(FILE_NEW, OpenMode::Create)?;
    file.write_at(&[text.as_bytes()], 0)?;
    file.sync_data()?;
    disk.rename(FILE_NEW, FILE)?;
    disk.sync_dir("")?;
    Ok(identity)
}

/// A UUID as Kafka shows it: URL-safe base64 without padding, 22 characters.
pub fn short_id(id: Uuid) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = id.as_u128();
    // 128 bits are 21 digits of 6 bits and one of 2, filled up with zeros.
    let digit = |at: u32| {
        if at < 21 { (bits >> (122 - 6 * at)) & 63 } else { (bits & 3) << 4 }
    };
    (0..22).map(|at| char::from(ALPHABET[digit(at) as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_byte_of_the_identity_is_damaged_it_is_refused() {
        let disk = tallymq_storage::disk::MemoryDisk::new();
        let identity = Identity::open(&disk, None, 4).unwrap();
        assert_eq!(Identity::open(&disk, None, 7).unwrap(), identity, "made once");
        let content = with_checksum(&toml::to_string(&identity).unwrap());
        assert_eq!(parse(content.as_bytes()).unwrap(), identity);
        for at in 0..content.len() {
            assert!(parse(&content.as_bytes()[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut damaged = content.clone().into_bytes();
                damaged[at] ^= 1 << bit;
                assert!(parse(&damaged).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn another_format_is_refused_by_name_whatever_else_it_holds() {
        let identity =
            Identity { format: FORMAT, cluster_id: short_id(Uuid::nil()), node_id: 1, data_groups: 4 };
        let facts = |format| toml::to_string(&Identity { format, ..identity.clone() }).unwrap();
        let parsed = |facts: &str| parse(with_checksum(facts).as_bytes());
        assert_eq!(parsed(&facts(FORMAT)).unwrap(), identity);
        for facts in [facts(2), facts(2) + "rack = \"a\"\n", "format = 2\nnodes = [1, 2]\n".to_owned()] {
            assert!(matches!(parsed(&facts), Err(IdentityError::Format { found: 2 })), "{facts}");
        }
        let unknown = facts(FORMAT) + "rack = \"a\"\n";
        assert!(matches!(parsed(&unknown), Err(IdentityError::Damaged(_))), "{unknown}");
    }

    #[test]
    fn a_short_id_is_what_kafka_prints() {
        // Uuid.toString of Kafka for its own METADATA_TOPIC_ID and ZERO_UUID.
        assert_eq!(short_id(Uuid::from_u128(1)), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(short_id(Uuid::from_u128(0)), "AAAAAAAAAAAAAAAAAAAAAA");
    }
}
