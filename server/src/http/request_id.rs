//! The id of a request: in its answer, in every log line that it causes, and in what people see where something went wrong on our side.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{ConnectInfo, Request},
    http::{HeaderName, HeaderValue},
};
use uuid::{Builder, Uuid};

use crate::{clock::now_ms, config::Networks};

/// Where it stands in an answer, and in a request that a proxy of ours has given one.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST: usize = 64;

tokio::task_local! {
    static CURRENT: RequestId;
}

/// The id of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The one that a trusted proxy gave the request, else a new one. Others could write into the log what they like.
    pub fn of(request: &Request, proxies: &Networks) -> Self {
        let socket = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
        let told = socket.filter(|address| proxies.contains(*address)).and_then(|_| request.headers().get(HEADER));
        let plain = |text: &&str| {
            (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        match told.and_then(|value| value.to_str().ok()).filter(plain) {
            Some(text) => Self(text.into()),
            None => Self(new().as_hyphenated().encode_lower(&mut Uuid::encode_buffer()).into()),
        }
    }

    /// The one of the request that is being answered.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Answers a request under this id.
    pub async fn around<T>(self, answering: impl Future<Output = T>) -> T {
        CURRENT.scope(self, answering).await
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a header.
    pub(super) fn value(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

/// An id that sorts by its time. Its chance is the process's own: asking the system for it costs a call for each request, and nobody has to be unable
/// to guess it.
fn new() -> Uuid {
    Builder::from_unix_timestamp_millis(now_ms().try_into().unwrap_or_default(), &rand::random()).into_uuid()
}

/// What people read where something went wrong on our side: with the id, so that whoever looks after the server finds it in the log.
pub fn with_request_id(detail: &str) -> String {
    RequestId::current().map_or_else(|| detail.to_owned(), |id| format!("{detail} (Request id {})", id.as_str()))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_a_trusted_proxy_names_a_request() {
        let proxies: Networks = "10.0.0.0/8".parse().expect("networks");
        let id = |from: &str, told: &str| {
            let mut request = Request::builder().header(HEADER, told).body(Body::empty()).expect("a request");
            request.extensions_mut().insert(ConnectInfo(from.parse::<SocketAddr>().expect("an address")));
            RequestId::of(&request, &proxies).as_str().to_owned()
        };
        assert_eq!(id("10.1.1.1:5", "abc-1_2.3"), "abc-1_2.3");
        for (from, told) in [("192.0.2.1:5", "abc"), ("10.1.1.1:5", "a b"), ("10.1.1.1:5", ""), ("10.1.1.1:5", &"x".repeat(65))] {
            assert!(id(from, told).parse::<Uuid>().is_ok(), "{from} {told}");
        }
    }

    #[tokio::test]
    async fn what_people_read_names_the_request() {
        assert_eq!(with_request_id("Broken."), "Broken.");
        let id = RequestId("abc".into());
        assert_eq!(id.around(async { with_request_id("Broken.") }).await, "Broken. (Request id abc)");
    }
}
