//! The router of the flows: what is rung when, by an invite's purpose.

use anyhow::Result;
use serde_json::{Value, json};
use switchhook_tests::service::Service;

use crate::people::CAROL;

/// Purposes that are routed otherwise than by ringing everybody at once.
pub(super) const HUNT: &str = "hunt";
pub(super) const FORWARD: &str = "forward";
pub(super) const WAVES: &str = "waves";

/// A ring time, in milliseconds, that no flow outlives, and those of [`WAVES`].
const LONG: u32 = 60_000;
const SHORT: u32 = 2_000;

/// A router of the tenant's own, which goes by the purpose.
pub(super) async fn start() -> Result<Service> {
    Service::start(|asked| {
        if asked.get("describe").is_some() {
            return json!({ "name": "own", "version": "1", "summary": "By purpose.", "text_prefixes": [] });
        }
        asked.get("route").map_or_else(|| json!({}), |question| json!({ "ring": plan(question) }))
    })
    .await
}

fn plan(question: &Value) -> Value {
    let all = |name: &str| question.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let tried = |index: usize| all("so_far").iter().any(|leg| leg["target"] == json!(index));
    let targets = all("targets");
    let of_kind = |phone: bool| -> Vec<usize> {
        let of_kind = targets.iter().enumerate().filter(|(_, it)| (it["kind"] == "phone") == phone);
        of_kind.map(|(index, _)| index).filter(|index| !tried(*index)).collect()
    };
    let (phones, others) = (of_kind(true), of_kind(false));
    let give_up = json!({ "give-up": "nobody" });
    let purpose = question.pointer("/invite/purpose").and_then(Value::as_str);
    let (waves, declined, finally) = match purpose {
        Some(HUNT) if phones.is_empty() => (vec![wave(&others, 0, LONG)], false, give_up),
        Some(HUNT) => (vec![wave(&phones, 0, LONG)], true, give_up),
        Some(FORWARD) if all("so_far").is_empty() => {
            (vec![wave(&phones, 0, LONG)], false, json!({ "forward": CAROL }))
        }
        Some(FORWARD) => (vec![wave(&phones, 0, LONG)], false, give_up),
        Some(WAVES) => (vec![wave(&phones, 0, SHORT), wave(&others, SHORT / 2, SHORT)], false, give_up),
        _ => (vec![wave(&[phones, others].concat(), 0, LONG)], false, give_up),
    };
    json!({ "waves": waves, "ask_again": { "declined": declined }, "finally": finally })
}

fn wave(targets: &[usize], starts_after_ms: u32, ring_time_ms: u32) -> Value {
    let ring = |target: &usize| json!({ "target": target, "ring_time_ms": ring_time_ms });
    json!({ "rings": targets.iter().map(ring).collect::<Vec<_>>(), "starts_after_ms": starts_after_ms })
}
