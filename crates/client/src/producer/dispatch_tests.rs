//! What the way of a record does without a broker to answer.

use super::*;
use crate::{cluster::Cluster, producer::job::Reply, spool::SpoolSettings};

/// The parts of a producer of a cluster that is not there, with a spool.
fn core(spool: SpoolSettings) -> Arc<Core> {
    let wire = Wire::new(&Cluster::at("127.0.0.1:1"), Duration::from_secs(1), 1).unwrap();
    Arc::new(Core {
        desk: Mutex::new(Desk::new(true)),
        wire: Arc::new(wire),
        fallbacks: Vec::new(),
        spool: Some(Arc::new(Spool::open(&spool).unwrap())),
        counters: Counters::default(),
        deadline: Duration::from_secs(1),
        changed: Notify::new(),
    })
}

fn job(record: Record) -> (Job, oneshot::Receiver<SendResult>) {
    let (reply, answer) = oneshot::channel();
    (Job { original: record.clone(), record, reply: Reply::Awaited(reply), room: None }, answer)
}

async fn outcome(core: &Arc<Core>, record: Record) -> SendResult {
    let (job, answer) = job(record);
    core.desk.lock().unsettled += 1;
    core.clone().elsewhere(job, Failure::before_sending("")).await;
    answer.await.unwrap()
}

#[tokio::test]
async fn a_record_for_which_the_spool_has_no_room_leaves_no_gap() {
    let directory = tempfile::tempdir().unwrap();
    let core = core(SpoolSettings::at(directory.path()).bytes_max(1000));
    let large = Record::to("t").partition(0).value(vec![0; 2000]);
    let error = outcome(&core, large).await.unwrap_err();
    assert!(matches!(error, SendError::Refused { cause: Refusal::Spool(SpoolError::Full { .. }), .. }));
    assert!(!core.desk.lock().spooling);
    let stored = outcome(&core, Record::to("t").partition(0)).await.unwrap();
    assert_eq!(stored, Stored::InSpool);
    let spool = core.spool.as_ref().unwrap();
    let (_, record) = spool.next(1, 1).await.unwrap().remove(0);
    assert_eq!(SequenceId::of(&record.headers).unwrap().number, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_fallbacks_records_are_in_the_spool_in_the_order_of_their_failures() {
    const RECORDS: usize = 200;
    let directory = tempfile::tempdir().unwrap();
    let core = core(SpoolSettings::at(directory.path()));
    let mut answers = Vec::new();
    for number in 0..RECORDS {
        let (job, answer) = job(Record::to("t").value(number.to_string()));
        core.desk.lock().unsettled += 1;
        core.leave(job, Failure::before_sending(""));
        answers.push(answer);
    }
    for answer in answers {
        assert_eq!(answer.await.unwrap().unwrap(), Stored::InSpool);
    }
    let waiting = core.spool.as_ref().unwrap().next(RECORDS, usize::MAX).await.unwrap();
    let values: Vec<usize> = waiting
        .iter()
        .map(|(_, record)| String::from_utf8_lossy(record.value.as_ref().unwrap()).parse().unwrap())
        .collect();
    assert_eq!(values, (0..RECORDS).collect::<Vec<_>>());
}
