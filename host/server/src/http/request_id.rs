//! A request's own id stands on its answer too, whatever the answer is: who posts many at once, through proxies, tells
//! by it which was answered how (REG-2).

use axum::{extract::Request, http::HeaderValue, middleware::Next, response::Response};
use switchhook_core::transit::is_message_id;

/// Where it stands.
const NAME: &str = "x-request-id";

/// Answers with the id that the request had, if it has the form of one.
pub(super) async fn echoed(request: Request, next: Next) -> Response {
    let id = request.headers().get(NAME).filter(|id| is_id(id)).cloned();
    let mut answer = next.run(request).await;
    if let Some(id) = id {
        answer.headers_mut().insert(NAME, id);
    }
    answer
}

fn is_id(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(is_message_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reg_2_a_request_id_is_as_long_and_plain_as_a_messages() {
        for (id, fine) in [("req-4711", true), ("", false), ("two words", false), (&"x".repeat(129), false)] {
            assert_eq!(is_id(&HeaderValue::from_str(id).unwrap()), fine, "{id}");
        }
    }
}
