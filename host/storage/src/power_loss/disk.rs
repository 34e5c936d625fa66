//! A disk that remembers in which order it was written, and what of that a loss of power leaves.
//!
//! An operation is durable when its file was synced after it; a name, when the folder was. Of the rest anything may be
//! left, in any order: each sector of each write, each change of size, each name is kept or lost by itself, as the
//! dice fall. A sector is lost as a whole, and never takes bytes with it that were not being written, which
//! is what SQLite builds on (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`).

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ops::Range,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

/// A file, whatever its name is by now.
pub(super) type File = usize;

/// Files by name, as they are found when the power is back.
pub(super) type Left = BTreeMap<String, Vec<u8>>;

/// What is lost together.
const SECTOR: usize = 512;

/// Chances of what was not synced, from an idle disk to one that had just finished.
const CHANCES: [f64; 4] = [0.0, 0.3, 0.9, 1.0];

#[derive(Debug, Default)]
pub(super) struct Disk {
    operations: Vec<Operation>,
    names: BTreeMap<String, File>,
    files: File,
}

#[derive(Debug)]
enum Operation {
    Name { name: String, file: File },
    Remove { name: String },
    SyncFolder,
    Write { file: File, at: usize, bytes: Vec<u8> },
    Truncate { file: File, size: usize },
    Sync { file: File },
}

impl Disk {
    /// The file of this name; it is new if there is none.
    pub(super) fn open(&mut self, name: &str) -> File {
        match self.names.entry(name.to_owned()) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let file = *new.insert(self.files);
                self.files += 1;
                self.operations.push(Operation::Name { name: name.to_owned(), file });
                file
            }
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.names.remove(name);
        self.operations.push(Operation::Remove { name: name.to_owned() });
    }

    pub(super) fn sync_folder(&mut self) {
        self.operations.push(Operation::SyncFolder);
    }

    pub(super) fn write(&mut self, file: File, at: usize, bytes: &[u8]) {
        self.operations.push(Operation::Write { file, at, bytes: bytes.to_owned() });
    }

    pub(super) fn truncate(&mut self, file: File, size: usize) {
        self.operations.push(Operation::Truncate { file, size });
    }

    pub(super) fn sync(&mut self, file: File) {
        self.operations.push(Operation::Sync { file });
    }

    /// This moment: how much was done.
    pub(super) fn moment(&self) -> usize {
        self.operations.len()
    }

    /// What is found if the power is lost at this moment, with these dice.
    pub(super) fn after_power_loss(&self, moment: usize, seed: u64) -> Left {
        let done = &self.operations[..moment];
        let mut fate = Fate::new(done, seed);
        let mut contents: BTreeMap<File, Vec<u8>> = BTreeMap::new();
        let mut names: BTreeMap<&str, File> = BTreeMap::new();
        for (index, operation) in done.iter().enumerate() {
            match operation {
                Operation::Name { name, file } if fate.keeps_name(index) => {
                    names.insert(name, *file);
                }
                Operation::Remove { name } if fate.keeps_name(index) => {
                    names.remove(name.as_str());
                }
                Operation::Write { file, at, bytes } => {
                    let content = contents.entry(*file).or_default();
                    let kept = sectors(*at, bytes.len()).filter(|_| fate.keeps(index, *file));
                    kept.for_each(|piece| put(content, at + piece.start, &bytes[piece]));
                }
                Operation::Truncate { file, size } if fate.keeps(index, *file) => {
                    contents.entry(*file).or_default().resize(*size, 0);
                }
                Operation::Name { .. }
                | Operation::Remove { .. }
                | Operation::Truncate { .. }
                | Operation::SyncFolder
                | Operation::Sync { .. } => {}
            }
        }
        let left = |(name, file): (&str, File)| (name.to_owned(), contents.remove(&file).unwrap_or_default());
        names.into_iter().map(left).collect()
    }
}

/// What was synced, and luck with the rest.
struct Fate {
    synced: BTreeMap<File, usize>,
    folder_synced: usize,
    chance: f64,
    dice: StdRng,
}

impl Fate {
    fn new(done: &[Operation], seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let chance = CHANCES[dice.random_range(0..CHANCES.len())];
        let mut fate = Self { synced: BTreeMap::new(), folder_synced: 0, chance, dice };
        for (index, operation) in done.iter().enumerate() {
            match operation {
                Operation::Sync { file } => drop(fate.synced.insert(*file, index)),
                Operation::SyncFolder => fate.folder_synced = index,
                Operation::Name { .. }
                | Operation::Remove { .. }
                | Operation::Write { .. }
                | Operation::Truncate { .. } => {}
            }
        }
        fate
    }

    fn keeps(&mut self, index: usize, file: File) -> bool {
        self.synced.get(&file).is_some_and(|synced| index < *synced) || self.dice.random_bool(self.chance)
    }

    fn keeps_name(&mut self, index: usize) -> bool {
        index < self.folder_synced || self.dice.random_bool(self.chance)
    }
}

/// The pieces of a write that are lost or kept together, counted from its first byte.
fn sectors(at: usize, length: usize) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let end = (start + SECTOR - (at + start) % SECTOR).min(length);
        let piece = start..end;
        start = end;
        (!piece.is_empty()).then_some(piece)
    })
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

#[test]
fn what_was_synced_stays_and_of_the_rest_each_sector_may_be_lost() {
    let mut disk = Disk::default();
    let file = disk.open("file");
    disk.write(file, 0, &[1; 100]);
    disk.sync(file);
    disk.sync_folder();
    disk.write(file, 100, &[2; 1_000]);
    disk.open("nameless");

    let left: Vec<Left> = (0..200).map(|seed| disk.after_power_loss(disk.moment(), seed)).collect();

    assert!(left.iter().all(|left| left["file"][..100] == [1; 100]));
    assert!(left.iter().any(|left| left["file"].len() == 100 && !left.contains_key("nameless")));
    assert!(left.iter().any(|left| left["file"].len() == 1_100 && left.contains_key("nameless")));
    let torn = |left: &Left| left["file"].len() == 1_100 && left["file"][511] != left["file"][512];
    assert!(left.iter().any(torn));
    assert!(disk.after_power_loss(0, 1).is_empty());
}

#[test]
fn a_write_is_cut_where_sectors_end() {
    assert!(sectors(500, 600).eq([0..12, 12..524, 524..600]));
    assert!(sectors(512, 1_024).eq([0..512, 512..1_024]));
    assert!(sectors(7, 0).eq([]));
}
