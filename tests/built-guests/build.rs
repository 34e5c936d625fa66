//! Builds the guests of `tests/guests`, and writes the list of them; builds the plugins for the example among them.

#[path = "../../host/plugin-runtime/build/guests.rs"]
mod guests;

use std::{env, fmt::Write as _, fs, path::Path};

fn main() -> anyhow::Result<()> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../..");
    guests::build(&root, "plugins")?;
    let names = guests::build(&root, "tests/guests")?;
    let mut list = String::new();
    for name in &names {
        writeln!(list, "/// The guest `{name}`.")?;
        writeln!(list, "pub const {}: &[u8] =", name.replace('-', "_").to_uppercase())?;
        writeln!(list, "    include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.wasm\"));")?;
    }
    list.push_str("/// Calls a macro with the name of each guest.\n#[macro_export]\nmacro_rules! for_each_guest {\n    ($each:ident) => {\n");
    for name in &names {
        writeln!(list, "        $each!({});", name.replace('-', "_"))?;
    }
    list.push_str("    };\n}\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("guests.rs"), list)?;
    Ok(())
}
