//! Requests to URLs that somebody chose. They lead to no private place unless that is allowed: each name is resolved once, every one of its
//! addresses is looked at, and the connection goes to those addresses and no other; the same again at each redirect.
//!
//! Answers are capped in size and time. No proxy is used, no compression is asked for or undone, and no connection is kept.

use std::{error::Error as _, net::IpAddr, time::Duration};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    dns::{DnsFuture, ResolveDns},
    http::{HttpConnector, HttpConnectorSettings},
    orchestrator::{HttpRequest, HttpResponse},
};

mod target;
#[cfg(test)]
mod tests;

pub use self::target::Refused;
use self::target::{Host, Target, is_public};

/// How long all of it may take, from the first name that is resolved to the last byte.
const PATIENCE: Duration = Duration::from_secs(10);
/// No more of an answer is read.
const LONGEST_ANSWER: usize = 64 * 1024;
const MOST_REDIRECTS: usize = 3;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum OutgoingError {
    /// The URL, or one that it redirects to, is not asked.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// Its name leads nowhere.
    #[error("its name cannot be resolved: {0}")]
    NoSuchName(std::io::Error),
    /// Nobody answers, or not in HTTP.
    #[error("{0}")]
    NoAnswer(String),
    /// It redirects again and again.
    #[error("it redirects more than {MOST_REDIRECTS} times")]
    Redirects,
    /// The answer is longer than is read.
    #[error("the answer is longer than {} kB", LONGEST_ANSWER / 1024)]
    TooLong,
    /// The answer was not complete in time.
    #[error("there was no complete answer within {} seconds", PATIENCE.as_secs())]
    TooSlow,
}

/// An answer, read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingAnswer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// The client.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing {
    /// Whether names and ports are held to what is public as well.
    public: bool,
    permitted: fn(IpAddr) -> bool,
    resolve: Resolve,
    patience: Duration,
}

/// Who knows the addresses of a name.
#[derive(Debug, Clone, Copy)]
enum Resolve {
    System,
    #[cfg(test)]
    Table(fn(&str) -> Vec<IpAddr>),
}

impl Outgoing {
    /// Asks public places alone: for URLs that users choose.
    pub fn public() -> Self {
        Self { public: true, permitted: is_public, resolve: Resolve::System, patience: PATIENCE }
    }

    /// Asks private places as well: for URLs that the operator chose.
    pub fn anywhere() -> Self {
        Self { public: false, permitted: |_| true, ..Self::public() }
    }

    /// GET, following redirects.
    ///
    /// # Errors
    /// The URL is refused, or there is no complete answer. An answer that refuses is an answer.
    pub async fn get(&self, url: &str) -> Result<OutgoingAnswer, OutgoingError> {
        tokio::time::timeout(self.patience, self.follow(url)).await.map_err(|_| OutgoingError::TooSlow)?
    }

    /// POST. A redirect is an answer and is not followed.
    ///
    /// # Errors
    /// The URL is refused, or there is no complete answer. An answer that refuses is an answer.
    pub async fn post(&self, url: &str, headers: &[(&'static str, &str)], body: Vec<u8>) -> Result<OutgoingAnswer, OutgoingError> {
        let sending = async {
            let mut request = HttpRequest::new(SdkBody::from(body));
            request.set_method("POST").map_err(|_| Refused::Form)?;
            for (name, value) in headers {
                request.headers_mut().try_insert(*name, (*value).to_owned()).map_err(|_| Refused::Form)?;
            }
            let answer = self.send(&Target::parse(url)?, request).await?;
            read(answer.status().as_u16(), answer).await
        };
        tokio::time::timeout(self.patience, sending).await.map_err(|_| OutgoingError::TooSlow)?
    }

    async fn follow(&self, url: &str) -> Result<OutgoingAnswer, OutgoingError> {
        let mut target = Target::parse(url)?;
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.send(&target, HttpRequest::new(SdkBody::empty())).await?;
            let status = answer.status().as_u16();
            match answer.headers().get("location") {
                Some(location) if matches!(status, 301 | 302 | 303 | 307 | 308) => target = target.join(location)?,
                _ => return read(status, answer).await,
            }
        }
        Err(OutgoingError::Redirects)
    }

    /// One request, to addresses that were looked at.
    async fn send(&self, target: &Target, mut request: HttpRequest) -> Result<HttpResponse, OutgoingError> {
        if self.public {
            target.check_public()?;
        }
        let addresses = self.addresses(&target.host).await?;
        // One that is private among others would be connected to when the others do not answer.
        if !addresses.iter().copied().all(self.permitted) {
            return Err(Refused::Private.into());
        }
        let settings = HttpConnectorSettings::builder().connect_timeout(PATIENCE).read_timeout(PATIENCE).build();
        let connector = Connector::builder()
            .connector_settings(settings)
            .proxy_config(ProxyConfig::disabled())
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .build_with_resolver(Known(addresses));
        request.set_uri(target.url()).map_err(|_| Refused::Form)?;
        request.headers_mut().insert("user-agent", "millrace");
        request.headers_mut().insert("connection", "close");
        connector.call(request).await.map_err(|error| {
            let mut said = error.to_string();
            let mut next = error.source();
            while let Some(cause) = next {
                said = format!("{said}: {cause}");
                next = cause.source();
            }
            OutgoingError::NoAnswer(said)
        })
    }

    async fn addresses(&self, host: &Host) -> Result<Vec<IpAddr>, OutgoingError> {
        let name = match host {
            Host::Address(address) => return Ok(vec![*address]),
            Host::Name(name) => name,
        };
        match self.resolve {
            Resolve::System => {
                let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(OutgoingError::NoSuchName)?;
                Ok(found.map(|address| address.ip()).collect())
            }
            #[cfg(test)]
            Resolve::Table(table) => Ok(table(name)),
        }
    }
}

/// The addresses that were looked at, whatever the name would resolve to by now.
#[derive(Debug, Clone)]
struct Known(Vec<IpAddr>);

impl ResolveDns for Known {
    fn resolve_dns<'a>(&'a self, _name: &'a str) -> DnsFuture<'a> {
        DnsFuture::ready(Ok(self.0.clone()))
    }
}

async fn read(status: u16, mut answer: HttpResponse) -> Result<OutgoingAnswer, OutgoingError> {
    let mut pieces = ByteStream::new(answer.take_body());
    let mut body = Vec::new();
    while let Some(piece) = pieces.try_next().await.map_err(|error| OutgoingError::NoAnswer(error.to_string()))? {
        if body.len() + piece.len() > LONGEST_ANSWER {
            return Err(OutgoingError::TooLong);
        }
        body.extend_from_slice(&piece);
    }
    Ok(OutgoingAnswer { status, body })
}
