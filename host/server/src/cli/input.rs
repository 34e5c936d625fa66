//! What commands read.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use anyhow::{Context as _, Result};

/// A file's text; `-` is standard input.
pub(crate) fn text_of(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A secret in a file, without the line's end.
pub(crate) fn secret_of(path: &Path) -> Result<String> {
    Ok(text_of(path)?.trim_end_matches(['\r', '\n']).to_owned())
}
