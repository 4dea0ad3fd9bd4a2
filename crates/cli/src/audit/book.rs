//! All ledgers of a topic, within a bound on memory: so many runs and producers are remembered, so many records are named,
//! the rest is counted. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    label::Label,
    ledger::{Begin, Ledger, Verdict},
};

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Runs of numbers, over all ledgers; about 50 bytes each.
    pub runs_max: usize,
    /// Ledgers: producer instances, counted per partition.
    pub ledgers_max: usize,
    /// Records that are named, of each kind.
    pub named_max: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { runs_max: 1_000_000, ledgers_max: 200_000, named_max: 10_000 }
    }
}

/// A record that is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The producer instance.
    pub producer: String,
    /// The record's number.
    pub number: u64,
    /// Its offset.
    pub offset: i64,
    /// For a repeat: the offset of the first record with this number, once it was looked up.
    pub first_offset: Option<i64>,
    /// For a late one: the highest number before it.
    pub after: Option<u64>,
}

/// What was found in one partition.
#[derive(Clone, Debug)]
pub struct PartitionBook {
    /// The first offset that was to be read.
    pub from: i64,
    /// The offset behind the last one.
    pub to: i64,
    /// The records that were read.
    pub records: u64,
    /// Of them, those with neither header.
    pub unlabelled: u64,
    /// Of them, those whose headers make no sense.
    pub malformed: u64,
    /// Of them, those of producers that are too many to remember.
    pub unjudged: u64,
    /// Whether retention removed records before they were read.
    pub jumped: bool,
    /// The ledgers, by producer instance.
    pub producers: BTreeMap<String, Ledger>,
    /// Repeats, the first ones.
    pub repeated: Vec<Place>,
    /// Late ones, the first ones.
    pub late: Vec<Place>,
    begin: Begin,
}

/// What was found in a topic.
#[derive(Debug)]
pub struct Book {
    /// By partition.
    pub partitions: BTreeMap<i32, PartitionBook>,
    bounds: Bounds,
    /// Runs over all ledgers; kept within the bound.
    runs: usize,
    ledgers: usize,
    named: (usize, usize),
}

impl Book {
    /// An empty one.
    pub fn new(bounds: Bounds) -> Book {
        Book { partitions: BTreeMap::new(), bounds, runs: 0, ledgers: 0, named: (0, 0) }
    }

    /// Opens a partition that is read from offset `from` up to `to`.
    pub fn open(&mut self, partition: i32, from: i64, to: i64) {
        // An offset of 0 is the very first record; whatever lies before another one is not known.
        let begin = if from == 0 { Begin::Zero } else { Begin::Unknown };
        let book = PartitionBook {
            from,
            to,
            records: 0,
            unlabelled: 0,
            malformed: 0,
            unjudged: 0,
            jumped: false,
            producers: BTreeMap::new(),
            repeated: Vec::new(),
            late: Vec::new(),
            begin,
        };
        self.partitions.insert(partition, book);
    }

    /// Takes up the next record of a partition.
    pub fn note(&mut self, partition: i32, offset: i64, label: Label<'_>) {
        let Some(book) = self.partitions.get_mut(&partition) else {
            return;
        };
        book.records += 1;
        let (producer, number) = match label {
            Label::None => return book.unlabelled += 1,
            Label::Malformed => return book.malformed += 1,
            Label::Sequence(producer, number) => (producer, number),
        };
        if !book.producers.contains_key(producer) {
            if self.ledgers >= self.bounds.ledgers_max {
                return book.unjudged += 1;
            }
            self.ledgers += 1;
            book.producers.insert(producer.to_owned(), Ledger::new(book.begin));
        }
        let ledger = book.producers.get_mut(producer).expect("it was put there");
        let before = ledger.runs();
        let verdict = ledger.note(number);
        if self.runs + ledger.runs() > self.bounds.runs_max + before {
            ledger.settle();
        }
        self.runs = self.runs + ledger.runs() - before;
        let place =
            |after| Place { producer: producer.to_owned(), number, offset, first_offset: None, after };
        match verdict {
            Verdict::Repeated if self.named.0 < self.bounds.named_max => {
                self.named.0 += 1;
                book.repeated.push(place(None));
            }
            Verdict::Late(highest) if self.named.1 < self.bounds.named_max => {
                self.named.1 += 1;
                book.late.push(place(Some(highest)));
            }
            _ => {}
        }
    }

    /// Records of this partition were removed before they were read.
    pub fn jump(&mut self, partition: i32) {
        if let Some(book) = self.partitions.get_mut(&partition) {
            book.jumped = true;
            book.begin = Begin::Unknown;
            book.producers.values_mut().for_each(Ledger::jump);
        }
    }

    /// Which partitions have to be read again, up to which offset, to find the first records of the repeats.
    pub fn to_look_up(&self) -> BTreeMap<i32, i64> {
        let last = |book: &PartitionBook| book.repeated.iter().map(|place| place.offset).max();
        self.partitions.iter().filter_map(|(partition, book)| Some((*partition, last(book)?))).collect()
    }
}

/// Finds the first records of repeats when their partition is read again.
#[derive(Debug, Default)]
pub struct LookUp {
    wanted: BTreeSet<(i32, String, u64)>,
    found: BTreeMap<(i32, String, u64), i64>,
}

impl LookUp {
    /// For the repeats in a book.
    pub fn new(book: &Book) -> LookUp {
        let places = book.partitions.iter().flat_map(|(partition, found)| {
            found.repeated.iter().map(|place| (*partition, place.producer.clone(), place.number))
        });
        LookUp { wanted: places.collect(), found: BTreeMap::new() }
    }

    /// Takes up the next record of a partition, in the order of the offsets.
    pub fn note(&mut self, partition: i32, offset: i64, label: Label<'_>) {
        let Label::Sequence(producer, number) = label else {
            return;
        };
        let key = (partition, producer.to_owned(), number);
        if self.wanted.remove(&key) {
            self.found.insert(key, offset);
        }
    }

    /// Puts what was found into the book.
    pub fn finish(self, book: &mut Book) {
        for (partition, found) in &mut book.partitions {
            for place in &mut found.repeated {
                let first = self.found.get(&(*partition, place.producer.clone(), place.number));
                place.first_offset = first.copied().filter(|first| *first < place.offset);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note_all(book: &mut Book, records: &[(i64, &str, u64)]) {
        for (offset, producer, number) in records {
            book.note(0, *offset, Label::Sequence(producer, *number));
        }
    }

    #[test]
    fn producers_and_partitions_have_ledgers_of_their_own() {
        let mut book = Book::new(Bounds::default());
        book.open(0, 0, 10);
        book.open(1, 7, 10);
        note_all(&mut book, &[(0, "a", 0), (1, "b", 0), (2, "a", 1), (3, "a", 3), (4, "b", 0), (5, "a", 2)]);
        book.note(0, 6, Label::None);
        book.note(0, 7, Label::Malformed);
        book.note(1, 7, Label::Sequence("a", 9));
        book.note(2, 0, Label::Sequence("a", 9));

        let first = &book.partitions[&0];
        assert_eq!((first.records, first.unlabelled, first.malformed), (8, 1, 1));
        assert_eq!(first.producers["a"].missing(), 0);
        assert_eq!((first.late[0].number, first.late[0].offset, first.late[0].after), (2, 5, Some(3)));
        assert_eq!(book.partitions[&1].producers["a"].unknown_before(), Some(9));

        assert_eq!(book.to_look_up(), BTreeMap::from([(0, 4)]));
        let mut again = LookUp::new(&book);
        for (offset, producer) in [(0, "a"), (1, "b"), (4, "b")] {
            again.note(0, offset, Label::Sequence(producer, 0));
        }
        again.finish(&mut book);
        let repeat = &book.partitions[&0].repeated[0];
        assert_eq!((repeat.producer.as_str(), repeat.offset, repeat.first_offset), ("b", 4, Some(1)));
    }

    #[test]
    fn memory_is_bounded_and_what_is_not_known_is_said() {
        let mut book = Book::new(Bounds { runs_max: 3, ledgers_max: 2, named_max: 1 });
        book.open(0, 0, 1000);
        for number in 0..100 {
            book.note(0, number, Label::Sequence("a", 2 * number as u64));
        }
        note_all(&mut book, &[(100, "b", 0), (101, "c", 0), (102, "b", 0), (103, "b", 0), (104, "a", 1)]);
        assert!(book.runs <= 3 + book.ledgers, "{}", book.runs);
        let found = &book.partitions[&0];
        let runs: usize = found.producers.values().map(Ledger::runs).sum();
        assert_eq!(runs, book.runs);
        assert_eq!((found.producers.len(), found.unjudged), (2, 1));
        assert_eq!(found.producers["a"].missing(), 99, "all holes are counted");
        assert_eq!(found.producers["a"].forgotten, 1);
        assert_eq!((found.producers["b"].repeated, found.repeated.len()), (2, 1), "two counted, one named");
    }

    #[test]
    fn records_that_retention_took_are_no_gap() {
        let mut book = Book::new(Bounds::default());
        book.open(0, 0, 100);
        note_all(&mut book, &[(0, "a", 0)]);
        book.jump(0);
        note_all(&mut book, &[(50, "a", 40), (51, "b", 7)]);
        let found = &book.partitions[&0];
        assert!(found.jumped);
        assert_eq!(found.producers.values().map(Ledger::missing).sum::<u64>(), 0);
        assert_eq!(found.producers["b"].unknown_before(), Some(7));
    }
}
