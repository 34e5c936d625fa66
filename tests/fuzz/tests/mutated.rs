//! Every body bears its corpus with some bytes changed: what a fuzzer finds first, without a fuzzer.
//!
//! More of it: `SWITCHHOOK_FUZZ_ROUNDS=100000 cargo nextest run --workspace -E 'test(bytes_that_were_changed)'`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a corpus that cannot be read fails the test, and ranges are within"
)]

use std::{env, fs, path::PathBuf, thread};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use switchhook_fuzz::BODIES;

/// Inputs of each body, where nobody asks for more.
const ROUNDS: u64 = 300;

/// No input grows beyond this.
const LARGEST: usize = 1 << 16;

#[test]
fn plug_4_bytes_that_were_changed_break_no_rule() {
    let rounds = env::var("SWITCHHOOK_FUZZ_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    for (name, body) in BODIES {
        let corpus = corpus_of(name);
        for seed in 0..rounds {
            let input = Input { name, bytes: changed(&corpus, &mut StdRng::seed_from_u64(seed)) };
            body(&input.bytes);
        }
    }
}

/// Says what it was when a body breaks.
struct Input {
    name: &'static str,
    bytes: Vec<u8>,
}

impl Drop for Input {
    #[expect(clippy::print_stdout, reason = "shown for a test that fails")]
    fn drop(&mut self) {
        if thread::panicking() {
            println!("{}: b\"{}\"", self.name, self.bytes.escape_ascii());
        }
    }
}

/// One file of the corpus after some changes.
fn changed(corpus: &[Vec<u8>], dice: &mut StdRng) -> Vec<u8> {
    let mut bytes = one_of(corpus, dice).to_vec();
    for _ in 0..dice.random_range(1..8) {
        change(&mut bytes, corpus, dice);
    }
    bytes.truncate(LARGEST);
    bytes
}

fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], dice: &mut StdRng) {
    let (at, end) = range(bytes.len(), dice);
    match dice.random_range(0..8) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => {
            let again = bytes[at..end].to_vec();
            drop(bytes.splice(at..at, again));
        }
        3 => {
            let other = one_of(corpus, dice);
            let (begin, stop) = range(other.len(), dice);
            drop(bytes.splice(at..end, other[begin..stop].iter().copied()));
        }
        4 => bytes.insert(at, dice.random()),
        5 => bytes[at..end].fill(EDGES[dice.random_range(0..EDGES.len())]),
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.random_range(0..8);
            }
        }
    }
}

/// Where numbers turn over, and where texts begin and end.
const EDGES: [u8; 12] = [0, 1, 0x7f, 0x80, 0xff, b'0', b'9', b'"', b'{', b'\\', b'\n', b','];

fn range(length: usize, dice: &mut StdRng) -> (usize, usize) {
    let [one, other] = [0; 2].map(|_: u8| dice.random_range(0..=length));
    (one.min(other), one.max(other))
}

fn one_of<'a>(corpus: &'a [Vec<u8>], dice: &mut StdRng) -> &'a [u8] {
    &corpus[dice.random_range(0..corpus.len())]
}

/// In the order of the names, so that a seed says the same everywhere.
fn corpus_of(body: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(body);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.collect();
    files.sort();
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}
