//! Writes the components of the corpus anew, after a change of `wit/`: for each world one that does
//! nothing, and the same without its last byte.
//!
//! `cargo run --package switchhook-fuzz --example seed`

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve, WorldId};

const WORLDS: [&str; 3] = ["registration-method", "nat-policy", "invite-router"];

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = root.join("corpus/contract_report");
    let wit = root.join("../../wit");
    let mut resolve = Resolve::default();
    resolve.push_dir(wit.join("types"))?;
    for world in WORLDS {
        let (package, _) = resolve.push_dir(wit.join(world))?;
        let component = does_nothing(&resolve, resolve.select_world(&[package], Some(world))?)?;
        let cut = component.split_last().context("a component has bytes")?.1;
        fs::write(corpus.join(format!("{world}-cut")), cut)?;
        fs::write(corpus.join(world), component)?;
    }
    Ok(())
}

fn does_nothing(resolve: &Resolve, world: WorldId) -> Result<Vec<u8>> {
    let mut module = dummy_module(resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().module(&module)?.encode()
}
