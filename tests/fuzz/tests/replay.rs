//! Every body bears every file of its corpus.
#![expect(clippy::unwrap_used, reason = "a corpus that cannot be read fails the test")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use switchhook_fuzz::{BODIES, Body};

#[test]
fn plug_4_bytes_that_were_trouble_once_or_could_be_break_no_rule() {
    for (name, body) in BODIES {
        let files = corpus_of(name);
        let reached = files.iter().filter(|file| replays(body, file)).count();

        assert!(reached > 0, "no file of {name} comes as far as its rule");
        assert!(reached < files.len(), "no file of {name} is refused before its rule");
    }
}

#[test]
fn every_body_has_a_corpus_and_a_target_and_every_corpus_a_body() {
    let bodies: BTreeSet<String> = BODIES.iter().map(|(name, _)| (*name).to_owned()).collect();

    assert_eq!(names("corpus"), bodies);
    assert_eq!(names("targets"), bodies.iter().map(|body| format!("{body}.rs")).collect());
}

/// What a body says of a file; on a panic the file's name is the last thing printed.
#[expect(clippy::print_stdout, reason = "shown for a test that fails")]
fn replays(body: Body, file: &PathBuf) -> bool {
    println!("{}", file.display());
    body(&fs::read(file).unwrap())
}

fn corpus_of(body: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder("corpus").join(body)).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn names(of: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder(of)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}
