//! Removes files that no kept checkpoint needs. Runs in the writer, which alone changes the files.

use std::io;

use tallymq_model::TopicPartition;

use super::{error::WriteFailed, names, partition::PartitionLog, shared::Shared};

/// Removes the segments that the checkpoint of `generation`, now durable, and the kept one before it hide.
pub(super) fn remove_unneeded(
    shared: &Shared,
    partition: &PartitionLog,
    generation: u64,
) -> Result<(), WriteFailed> {
    let bases = partition.state.lock().durable(generation, shared.options.checkpoints_kept);
    let tp = partition.topic_partition();
    for base in bases {
        shared.files.close((partition.serial, base));
        for path in [names::segment(tp, base), names::index(tp, base)] {
            gone(shared.disk.remove_file(&path)).map_err(|source| shared.fail("removing", &path, source))?;
        }
        shared.dir_changed(names::partition_dir(tp));
    }
    Ok(())
}

/// Removes a deleted partition's directory, and its topic's if that was the last one.
pub(super) fn remove_partition(shared: &Shared, tp: TopicPartition, serial: u64) -> Result<(), WriteFailed> {
    shared.files.close_partition(serial);
    let (topic, dir) = (names::topic_dir(tp.topic), names::partition_dir(tp));
    gone(shared.disk.remove_dir(&dir)).map_err(|source| shared.fail("removing", &dir, source))?;
    shared.dir_changed(topic.clone());
    match shared.disk.list(&topic) {
        Ok(entries) if entries.is_empty() => {
            gone(shared.disk.remove_dir(&topic)).map_err(|source| shared.fail("removing", &topic, source))?;
            shared.dir_changed(names::TOPICS.to_owned());
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(error) => gone(Err(error)).map_err(|source| shared.fail("listing", &topic, source)),
    }
}

/// What is not there need not be removed.
fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
