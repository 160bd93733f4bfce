//! Plain HTTP requests, as a browser would make them: for `doctor`, which looks at presigned URLs and at the CDN from outside. It is the
//! client that the AWS SDKs bring along, so there is one TLS stack. Redirects are not followed.

use std::{error::Error, fmt, time::Duration};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_smithy_http_client::{
    Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::HttpRequest,
};
use bytes::Bytes;

/// How long a connection may take, and how long the answer.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(30);
/// No answer that is looked at is longer.
const LONGEST_BODY: usize = 64 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WebError(String);

impl WebError {
    /// With all its causes: what says most stands last.
    fn of(error: &(dyn Error + 'static)) -> Self {
        let (mut said, mut next) = (error.to_string(), error.source());
        while let Some(cause) = next {
            said = format!("{said}: {cause}");
            next = cause.source();
        }
        Self(said)
    }
}

/// An answer, read to its end.
#[derive(Clone)]
pub struct WebAnswer {
    /// The status code.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl fmt::Debug for WebAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebAnswer").field("status", &self.status).field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

impl WebAnswer {
    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }

    /// The body as text, as far as it is text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The status and the beginning of the body, for people.
    pub fn summary(&self) -> String {
        let words: Vec<_> = self.text().split_whitespace().map(str::to_owned).collect();
        let start: String = words.join(" ").chars().take(200).collect();
        if start.is_empty() { self.status.to_string() } else { format!("{} ({start})", self.status) }
    }
}

/// An HTTP client.
#[derive(Debug, Clone)]
pub struct Web(SharedHttpConnector);

impl Default for Web {
    fn default() -> Self {
        let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT).read_timeout(ANSWER).build();
        let connector = Connector::builder().connector_settings(settings).tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build();
        Self(SharedHttpConnector::new(connector))
    }
}

impl Web {
    /// Makes a request and reads the answer.
    ///
    /// # Errors
    /// There is no answer. One that refuses is an answer.
    pub async fn send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: Bytes) -> Result<WebAnswer, WebError> {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method(method).map_err(|error| WebError::of(&error))?;
        request.set_uri(url).map_err(|error| WebError::of(&error))?;
        for (name, value) in headers {
            request.headers_mut().try_insert((*name).to_owned(), (*value).to_owned()).map_err(|error| WebError::of(&error))?;
        }
        let mut answer = self.0.call(request).await.map_err(|error| WebError::of(&error))?;
        let headers = answer.headers().iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let mut pieces = ByteStream::new(answer.take_body());
        let mut body = Vec::new();
        while let Some(piece) = pieces.try_next().await.map_err(|error| WebError::of(&error))? {
            if body.len() + piece.len() > LONGEST_BODY {
                return Err(WebError("the answer is too long".into()));
            }
            body.extend_from_slice(&piece);
        }
        Ok(WebAnswer { status: answer.status().as_u16(), headers, body: body.into() })
    }

    /// GET.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn get(&self, url: &str) -> Result<WebAnswer, WebError> {
        self.send("GET", url, &[], Bytes::new()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    #[tokio::test]
    async fn a_request_goes_out_as_it_was_given_and_a_refusal_is_an_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/a/b?c=d", listener.local_addr().expect("an address"));
        let served = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.expect("a connection");
            let mut asked = vec![0; 4_096];
            let length = socket.read(&mut asked).await.expect("a request");
            socket.write_all(b"HTTP/1.1 403 Forbidden\r\nX-Thing: y\r\ncontent-length: 3\r\n\r\nno\n").await.expect("answered");
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        let answer = Web::default().send("OPTIONS", &url, &[("origin", "https://v.example")], Bytes::new()).await.expect("an answer");
        assert_eq!((answer.status, answer.header("x-thing"), answer.summary().as_str()), (403, Some("y"), "403 (no)"));
        let asked = served.await.expect("served");
        assert!(asked.starts_with("OPTIONS /a/b?c=d HTTP/1.1\r\n") && asked.contains("origin: https://v.example"), "{asked}");
        assert!(Web::default().get("http://127.0.0.1:1/").await.is_err() && Web::default().get("nonsense").await.is_err());
    }
}
