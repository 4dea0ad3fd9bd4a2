//! The hands of a consumer: order, acknowledgement, giving back.

use bytes::Bytes;

use super::*;
use crate::consumer::received::Position;

fn place(partition: i32) -> Place {
    ("t".into(), partition)
}

fn record(partition: i32, offset: i64, key: Option<&'static str>) -> Received {
    let position = Position { topic: "t".into(), partition, offset };
    Received::for_test(position, key.map(Bytes::from), None, Vec::new())
}

fn read(work: &mut Work, partition: i32, offset: i64, key: Option<&'static str>) -> Admitted {
    let (admitted, job) = work.admit(&place(partition), record(partition, offset, key));
    if let Some(job) = job {
        work.queue(job);
    }
    admitted
}

fn work(order: Order) -> Work {
    let mut work = Work::new(order, 8, 4);
    work.assign(place(0));
    work
}

fn start_all(work: &mut Work) -> Vec<(Lane, Job)> {
    std::iter::from_fn(|| work.start()).collect()
}

/// Place, position and metadata.
fn commits(work: &Work) -> Vec<(Place, i64, String)> {
    let commit = |commit: Commit| (commit.place, commit.position, commit.metadata);
    work.committable(None).into_iter().map(commit).collect()
}

/// The broker takes what may be committed of a partition, and it is that position.
fn taken(work: &mut Work, partition: i32, position: i64) {
    let commit = work.committable(Some(&[place(partition)])).pop().expect("there is something to commit");
    assert_eq!(commit.position, position);
    work.committed(&commit);
}

fn offsets(jobs: &[(Lane, Job)]) -> Vec<i64> {
    jobs.iter().map(|(_, job)| job.received.offset()).collect()
}

#[test]
fn keys_run_side_by_side_and_each_in_order() {
    let mut work = work(Order::Key);
    for (offset, key) in [Some("a"), Some("a"), Some("b"), None].into_iter().enumerate() {
        read(&mut work, 0, offset as i64, key);
    }
    let first = start_all(&mut work);
    assert_eq!(offsets(&first), [0, 2, 3]);
    work.acknowledge(&first[0].1);
    work.end(&first[0].0, &first[0].1);
    assert_eq!(offsets(&start_all(&mut work)), [1]);
    assert_eq!(commits(&work), [(place(0), 1, String::new())]);
}

#[test]
fn strict_order_runs_one_of_a_partition() {
    let mut work = work(Order::Partition);
    work.assign(place(1));
    for (partition, offset) in [(0, 0), (0, 1), (1, 0)] {
        read(&mut work, partition, offset, None);
    }
    assert_eq!(start_all(&mut work).len(), 2);
}

#[test]
fn an_unfinished_record_is_never_committed_past() {
    let mut work = work(Order::Key);
    for offset in 0..3 {
        read(&mut work, 0, 10 + offset, None);
    }
    assert!(work.committable(None).is_empty(), "nothing is finished");
    let jobs = start_all(&mut work);
    for (lane, job) in &jobs[1..] {
        work.acknowledge(job);
        work.end(lane, job);
    }
    assert!(work.committable(None).is_empty(), "the first is not finished");
    // Ended without an acknowledgement: given back.
    work.end(&jobs[0].0, &jobs[0].1);
    assert!(work.committable(None).is_empty());
    work.acknowledge(&jobs[0].1);
    assert_eq!(commits(&work), [(place(0), 13, String::new())]);
    taken(&mut work, 0, 13);
    assert!(work.committable(None).is_empty());
}

#[test]
fn too_many_held_pause_the_partition_and_half_of_them_resume_it() {
    let mut work = work(Order::Key);
    let admitted: Vec<Admitted> = (0..5).map(|offset| read(&mut work, 0, offset, None)).collect();
    assert_eq!(admitted[3], Admitted::HeldPause);
    assert_eq!(admitted[4], Admitted::Held, "what was on its way is taken");
    let jobs = start_all(&mut work);
    for (at, (lane, job)) in jobs.iter().enumerate() {
        assert_eq!(work.take_resumable().len(), usize::from(at == 3));
        work.acknowledge(job);
        work.end(lane, job);
    }
}

#[test]
fn what_is_paused_or_not_yet_resumed_is_told_when_it_goes() {
    let mut work = work(Order::Key);
    work.assign(place(1));
    for offset in 0..4 {
        read(&mut work, 0, offset, None);
    }
    work.give_back(&[place(0), place(1)]);
    assert_eq!(work.remove(&[place(0), place(1)]), [place(0)]);

    work.assign(place(0));
    for offset in 0..4 {
        read(&mut work, 0, offset, None);
    }
    for (lane, job) in &start_all(&mut work) {
        work.acknowledge(job);
        work.end(lane, job);
    }
    // Its handlers finished while it was given back, and no look for what to resume came between.
    work.give_back(&[place(0)]);
    assert_eq!(work.remove(&[place(0)]), [place(0)]);
    work.assign(place(0));
    assert!(work.take_resumable().is_empty());
    assert!(work.remove(&[place(0)]).is_empty());
}

#[test]
fn a_given_back_partition_forgets_its_jobs_even_if_it_comes_again() {
    let mut work = work(Order::Partition);
    read(&mut work, 0, 0, None);
    read(&mut work, 0, 1, None);
    let (late_lane, late) = work.start().unwrap();
    assert_eq!(work.give_back(&[place(0)]), 1);
    assert!(*late.lost.borrow());
    assert_eq!(work.running_on(&[place(0)]), 1);
    assert!(work.holds(&late), "as long as its handler is waited for");
    work.remove(&[place(0)]);
    assert!(!work.holds(&late));
    work.assign(place(0));
    assert!(!work.holds(&late));
    read(&mut work, 0, 0, None);
    work.acknowledge(&late);
    work.end(&late_lane, &late);
    assert!(work.committable(None).is_empty(), "the old assignment's end says nothing about the new one");
    assert_eq!(offsets(&start_all(&mut work)), [0]);
    assert_eq!(read(&mut work, 7, 0, None), Admitted::Ignored);
}

#[test]
fn after_stop_nothing_is_taken() {
    let mut work = work(Order::Key);
    read(&mut work, 0, 0, None);
    assert_eq!(work.stop(), 1);
    assert_eq!(read(&mut work, 0, 1, None), Admitted::Ignored);
    assert!(work.start().is_none());
}

#[test]
fn outcomes_go_with_the_commit_that_passes_them_until_one_was_taken() {
    let mut work = work(Order::Key);
    (0..4).for_each(|offset| assert_ne!(read(&mut work, 0, 10 + offset, None), Admitted::Ignored));
    let jobs = start_all(&mut work);
    for (at, (lane, job)) in jobs.iter().enumerate().filter(|(at, _)| *at != 2) {
        work.tell(job, if at == 1 { Outcome::DeadLettered } else { Outcome::Handled });
        work.acknowledge(job);
        work.end(lane, job);
    }
    let first = (place(0), 12, "tally1;handled=10;dead=11".to_owned());
    assert_eq!(commits(&work), std::slice::from_ref(&first), "the fourth may come again");
    assert_eq!(commits(&work), [first], "nobody said that it arrived");
    taken(&mut work, 0, 12);
    assert!(commits(&work).is_empty());
    // A copy in a retry topic is no outcome.
    work.acknowledge(&jobs[2].1);
    assert_eq!(commits(&work), [(place(0), 14, "tally1;handled=13".to_owned())]);
    work.tell_no_more();
    assert_eq!(commits(&work), [(place(0), 14, String::new())]);
    work.tell(&jobs[2].1, Outcome::Handled);
    assert_eq!(commits(&work)[0].2, "");
}

/// Another record than [`read`] gives for that offset.
fn read_another(work: &mut Work, offset: i64) -> Admitted {
    let position = Position { topic: "t".into(), partition: 0, offset };
    let another = Received::for_test(position, None, Some(Bytes::from("another")), Vec::new());
    let (admitted, job) = work.admit(&place(0), another);
    if let Some(job) = job {
        work.queue(job);
    }
    admitted
}

#[test]
fn another_record_at_an_offset_is_held_and_the_old_ones_end_does_not_finish_it() {
    let mut work = Work::new(Order::Key, 8, 4);
    work.assign(place(0));
    for offset in 10..13 {
        read(&mut work, 0, offset, None);
    }
    let old = start_all(&mut work);
    for (lane, job) in &old[..2] {
        work.tell(job, Outcome::Handled);
        work.acknowledge(job);
        work.end(lane, job);
    }
    taken(&mut work, 0, 12);
    assert_eq!(read(&mut work, 0, 13, None), Admitted::Held);
    // The log ended at 11 when its machine came back, and goes on with others.
    assert_eq!(read(&mut work, 0, 10, None), Admitted::Ignored, "it is the same");
    let before = work.committable(None).pop();
    assert_eq!(read_another(&mut work, 11), Admitted::HeldInstead { next: 14 });
    assert_eq!(read_another(&mut work, 11), Admitted::Ignored);
    assert_eq!(commits(&work), [(place(0), 11, String::new())], "the position comes back");
    assert!(before.is_none());
    // 12 of old ends; it is 12 no more.
    work.tell(&old[2].1, Outcome::Handled);
    work.acknowledge(&old[2].1);
    work.end(&old[2].0, &old[2].1);
    assert_eq!(read_another(&mut work, 12), Admitted::Held);
    taken(&mut work, 0, 11);
    let new: Vec<_> =
        start_all(&mut work).into_iter().filter(|(_, job)| job.received.value().is_some()).collect();
    assert_eq!(offsets(&new), [11, 12]);
    for (_, job) in new.iter().rev() {
        work.tell(job, Outcome::Handled);
        work.acknowledge(job);
    }
    assert_eq!(commits(&work), [(place(0), 13, "tally1;handled=11+2".to_owned())]);
}

#[test]
fn a_commit_under_way_when_the_log_lost_its_end_is_not_the_last_word() {
    let mut work = work(Order::Key);
    for offset in 0..3 {
        read(&mut work, 0, offset, None);
    }
    let jobs = start_all(&mut work);
    jobs.iter().for_each(|(_, job)| work.acknowledge(job));
    let under_way = work.committable(None).pop().unwrap();
    assert_eq!(read_another(&mut work, 1), Admitted::HeldInstead { next: 3 });
    work.committed(&under_way);
    assert_eq!(commits(&work), [(place(0), 1, String::new())]);
}

#[test]
fn a_full_partition_whose_log_lost_its_end_is_read_on() {
    let mut work = work(Order::Key);
    let admitted: Vec<Admitted> = (0..4).map(|offset| read(&mut work, 0, offset, None)).collect();
    assert_eq!(admitted[3], Admitted::HeldPause);
    assert_eq!(read_another(&mut work, 1), Admitted::HeldInstead { next: 4 });
    assert_eq!(work.take_resumable(), [place(0)]);
    assert_eq!(work.running_on(&[place(0)]), 0);
    let jobs = start_all(&mut work);
    assert_eq!(work.running_on(&[place(0)]), jobs.len());
    jobs.iter().for_each(|(lane, job)| work.end(lane, job));
    assert_eq!(work.running_on(&[place(0)]), 0);
}
