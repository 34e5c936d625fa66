//! `switchhook docs`: pages that are generated from the code.

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use switchhook_plugin_runtime::contract_reference;
use switchhook_protocol::{close::CloseCode, error::ErrorCode};

use crate::http::admin::openapi;

/// Prints a generated page.
#[derive(Debug, Args)]
pub(crate) struct Docs {
    page: Page,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Page {
    /// docs/CONTRACT.md
    Contract,
    /// docs/ERRORS.md
    Errors,
    /// The admin API as `OpenAPI` 3.1, in JSON.
    Openapi,
}

impl Docs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.page {
            Page::Contract => io::stdout().write_all(contract_reference().as_bytes())?,
            Page::Errors => io::stdout().write_all(errors().as_bytes())?,
            Page::Openapi => io::stdout().write_all(openapi::text().as_bytes())?,
        }
        Ok(())
    }
}

fn errors() -> String {
    let mut page = String::from(
        "# Errors\n\nGenerated from `sdk/protocol`; do not edit.\n\n\
         ## Error codes\n\n\
         Over the socket: `{\"code\",\"message\",\"retry_after_ms\"}`. Over HTTP: `application/problem+json` with the same `code`.\n\n\
         | code | HTTP | meaning | what to do |\n| --- | --- | --- | --- |\n",
    );
    for code in ErrorCode::ALL {
        let row =
            format!("| `{}` | {} | {} | {} |\n", code, code.status(), code.meaning().trim(), code.remedy());
        page.push_str(&row);
    }
    page.push_str(
        "\n## Close codes\n\nA client connects again by itself where the table says so, after the time it says, \
         with growing pauses if that fails.\n\n\
         | code | reason | reconnect | after | meaning |\n| --- | --- | --- | --- | --- |\n",
    );
    for code in CloseCode::ALL {
        let row = code.row();
        let reconnect = if row.reconnect { "yes" } else { "no: final" };
        let line = format!(
            "| {} | `{}` | {} | {} ms | {} |\n",
            row.code, row.reason, reconnect, row.after_ms, row.meaning
        );
        page.push_str(&line);
    }
    page
}
