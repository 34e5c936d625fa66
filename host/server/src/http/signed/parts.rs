//! What of a request a signature may cover (RFC 9421 §2): headers, and what is derived from the
//! request line. Parts with parameters are not known here.

use axum::http::{HeaderMap, header, request::Parts};

/// A request's head, as a signature covers it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Covered<'a> {
    head: &'a Parts,
}

impl<'a> Covered<'a> {
    pub(super) const fn of(head: &'a Parts) -> Self {
        Self { head }
    }

    /// The value of a part; none if the request has none, or it is not known here.
    pub(super) fn part(self, name: &str) -> Option<String> {
        let uri = &self.head.uri;
        match name {
            "@method" => Some(self.head.method.as_str().to_owned()),
            "@authority" => self.authority(),
            "@path" => Some(uri.path().to_owned()),
            "@query" => Some(format!("?{}", uri.query().unwrap_or_default())),
            "@request-target" => Some(uri.path_and_query()?.as_str().to_owned()),
            _ if name.starts_with('@') => None,
            _ => field(&self.head.headers, name),
        }
    }

    /// The host that the client asked, in lower case and without the port that goes without saying.
    fn authority(self) -> Option<String> {
        let asked = self.head.uri.authority().map(|authority| authority.as_str().to_owned());
        let host = asked.or_else(|| field(&self.head.headers, header::HOST.as_str()))?.to_ascii_lowercase();
        let bare = host.strip_suffix(":443").or_else(|| host.strip_suffix(":80"));
        Some(bare.unwrap_or(&host).to_owned())
    }
}

/// A header's lines as one value (RFC 9421 §2.1); none if it is absent, or not text.
pub(super) fn field(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(name).into_iter().map(|line| line.to_str().map(str::trim));
    let lines: Vec<&str> = lines.collect::<Result<_, _>>().ok()?;
    (!lines.is_empty()).then(|| lines.join(", "))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[test]
    fn parts_are_named_and_written_as_the_standard_says() {
        let request = Request::post("/v1/acme/requests/sync?a=b&c")
            .header("Host", "Signaling.Example:443")
            .header("X-Lines", "  one ")
            .header("X-Lines", "two,three")
            .header("X-Empty", "");
        let (head, ()) = request.body(()).unwrap().into_parts();
        let part = |name| Covered::of(&head).part(name);

        assert_eq!(part("@method").as_deref(), Some("POST"));
        assert_eq!(part("@authority").as_deref(), Some("signaling.example"));
        assert_eq!(part("@path").as_deref(), Some("/v1/acme/requests/sync"));
        assert_eq!(part("@query").as_deref(), Some("?a=b&c"));
        assert_eq!(part("@request-target").as_deref(), Some("/v1/acme/requests/sync?a=b&c"));
        assert_eq!(part("x-lines").as_deref(), Some("one, two,three"));
        assert_eq!(part("x-empty").as_deref(), Some(""));
        for unknown in ["x-absent", "@status", "@target-uri", r#""x-lines";sf"#, "not a name", ""] {
            assert_eq!(part(unknown), None, "{unknown}");
        }
    }
}
