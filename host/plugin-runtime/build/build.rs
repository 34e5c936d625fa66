//! Builds the built-in plugins and encodes them as components, for `src/builtin.rs` to embed.

mod guests;

use std::{env, path::Path};

fn main() -> anyhow::Result<()> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../..");
    guests::build(&root, "plugins")?;
    Ok(())
}
