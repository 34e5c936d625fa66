//! The same decision by a script in Rhai: compiled once, run with fresh variables each time.

use std::hint::black_box;

use rhai::{AST, Array, Dynamic, Engine, Map, Scope};
use switchhook_core::policy::route::Question;

use super::DECISIONS;
use crate::{clock::now, series::Latencies};

const ROUTER: &str = r#"
    let rings = [];
    for target in targets { rings.push(#{ target: target.index, ring_time_ms: 30000 }); }
    #{ waves: [#{ rings: rings, starts_after_ms: 0 }], finally: "no-answer" }
"#;

/// An engine and its compiled script.
pub(super) struct Script {
    engine: Engine,
    router: AST,
}

impl Script {
    pub(super) fn new() -> anyhow::Result<Self> {
        let engine = Engine::new();
        let router = engine.compile(ROUTER)?;
        Ok(Self { engine, router })
    }

    pub(super) fn decide(&self, question: &Question) -> anyhow::Result<Latencies> {
        let mut latencies = Latencies::with_capacity(DECISIONS);
        for _ in 0..DECISIONS {
            let started = now();
            let mut scope = Scope::new();
            scope.push("targets", targets(black_box(question)));
            let plan = self.engine.eval_ast_with_scope::<Map>(&mut scope, &self.router);
            let plan = plan.map_err(|error| anyhow::anyhow!("the script failed: {error}"))?;
            latencies.push(started.elapsed());
            anyhow::ensure!(plan.contains_key("waves"), "the script planned nothing");
        }
        Ok(latencies)
    }
}

fn targets(question: &Question) -> Array {
    let target = |(index, target): (i64, &switchhook_core::policy::route::Target)| {
        let fields: [(&str, Dynamic); 5] = [
            ("index", index.into()),
            ("user", i64::from(target.user).into()),
            ("kind", target.kind.clone().into()),
            ("region", target.region.clone().into()),
            ("online", target.online.into()),
        ];
        Dynamic::from_map(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
    };
    (0..).zip(&question.targets).map(target).collect()
}
