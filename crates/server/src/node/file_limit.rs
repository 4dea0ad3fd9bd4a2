//! The process's limit on open files. Raised at start as far as it may be, because segments, connections and the shared log
//! all take from it; what segments may use is kept well below.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are not for segments or connections: the shared log, sockets that listen, the runtime.
const OTHERS: u64 = 64;

/// Raises the soft limit to the hard one. Returns how many files segments may have open: what was asked for, or less if the
/// limit leaves no room for `connections` beside them.
pub fn raise(wanted: usize, connections: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    if let Some(hard) = limit.maximum
        && limit.current.is_none_or(|soft| soft < hard)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(hard), maximum: Some(hard) })
    {
        tracing::warn!(%error, hard, "the limit on open files could not be raised");
    }
    let soft = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let room = room_for_segments(soft, connections as u64);
    if room < wanted as u64 {
        tracing::warn!(
            limit = soft,
            open_files_max = room,
            "few files may be open; raise the limit (ulimit -n)"
        );
    }
    room.min(wanted as u64) as usize
}

/// Half of what is left beside the connections and the others; at least a few.
fn room_for_segments(limit: u64, connections: u64) -> u64 {
    const LEAST: u64 = 16;
    let left = limit.saturating_sub(OTHERS);
    (left.saturating_sub(connections.min(left / 2)) / 2).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_connections_and_the_rest_fit_the_limit() {
        for limit in [256, 1024, 4096, 65_536, 1 << 20] {
            for connections in [10, 1000, 10_000] {
                let segments = room_for_segments(limit, connections);
                assert!(segments + OTHERS < limit, "{limit} {connections}");
            }
        }
        assert_eq!(room_for_segments(1 << 20, 10_000), ((1 << 20) - 64 - 10_000) / 2);
    }
}
