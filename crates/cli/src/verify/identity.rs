//! The identity file, and that the metadata belongs to it. Never makes one.

use tallymq_broker::metadata::Metadata;
use tallymq_server::identity::Identity;
use tallymq_storage::disk::{Disk, OpenMode};

use super::Report;

const FILE: &str = "identity.toml";

/// Reads it; None if it is not usable.
pub fn check(disk: &dyn Disk, report: &mut Report) -> Option<Identity> {
    if let Err(error) = disk.open(FILE, OpenMode::Read) {
        report.damage(FILE, 0, format!("cannot be opened: {error}"));
        return None;
    }
    // The file is there, so this reads it and makes nothing.
    Identity::open(disk, None, 1).map_err(|error| report.damage(FILE, 0, error.to_string())).ok()
}

/// Compares it with what the metadata group says.
pub fn compare(identity: &Identity, metadata: &Metadata, report: &mut Report) {
    let Some(cluster_id) = metadata.cluster_id() else {
        return;
    };
    if cluster_id != identity.cluster_id {
        let reason =
            format!("the cluster is {}, but the metadata belongs to {cluster_id}", identity.cluster_id);
        report.damage(FILE, 0, reason);
    }
    let groups = metadata.data_groups().count();
    if groups != identity.data_groups as usize {
        let reason = format!("there are {} data groups, but {groups} by the metadata", identity.data_groups);
        report.damage(FILE, 0, reason);
    }
}
