//! What the AWS adapters have in common: how the SDK is set up, and how an answer of a service becomes a sentence.

use std::{error::Error, fmt, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
};

/// How long a connection may take to come about.
pub(super) const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// How long one try of a short request may take. Longer than the longest poll of a queue, which is 20 s.
const SHORT_REQUEST: Duration = Duration::from_secs(40);
/// Tries of one request; the waits between them grow, with jitter.
const TRIES: u32 = 4;

/// The configuration all clients start from. An empty region or endpoint leaves it to where AWS programs look (environment, profile, role), and
/// so is it with credentials, always.
///
/// The behaviour version is pinned: an update of the SDK must not change retries and time-outs unseen.
pub async fn sdk_config(region: &str, endpoint: &str) -> SdkConfig {
    let time_outs = TimeoutConfig::builder().connect_timeout(CONNECT_PATIENCE).operation_attempt_timeout(SHORT_REQUEST).build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::standard().with_max_attempts(TRIES))
        .timeout_config(time_outs);
    if !region.is_empty() {
        loader = loader.region(Region::new(region.to_owned()));
    }
    if !endpoint.is_empty() {
        loader = loader.endpoint_url(endpoint);
    }
    loader.load().await
}

/// A request to a service that did not end well, in words for a log or for `doctor`.
#[derive(Debug)]
pub(super) struct ServiceError {
    operation: &'static str,
    /// The service's own name for what is wrong; `None` where no answer came.
    pub(super) code: Option<String>,
    /// HTTP status of the answer.
    pub(super) status: Option<u16>,
    said: String,
}

impl ServiceError {
    /// Reads what went wrong with `operation`.
    pub(super) fn new<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.code().map(str::to_owned);
        let said = match (&code, error.message()) {
            (Some(code), Some(message)) => format!("{code}: {}", message.trim_end_matches('.')),
            (Some(code), None) => code.clone(),
            // No answer that can be read: the chain of causes says where it broke off.
            _ => DisplayErrorContext(&error).to_string(),
        };
        Self { operation, code, status, said }
    }

    /// What the operator can do about it, where that is known.
    fn advice(&self) -> Option<&'static str> {
        Some(match self.code.as_deref()? {
            "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" | "Forbidden" => {
                "the credentials lack this right: compare their policy with the one in deploy/terraform"
            }
            "NoSuchBucket" => "there is no such bucket: check its name and region",
            "InvalidAccessKeyId" | "UnrecognizedClientException" | "InvalidClientTokenId" => "the access key is not known there",
            "SignatureDoesNotMatch" => "the secret key does not belong to the access key, or a proxy changes the request",
            "ExpiredToken" | "ExpiredTokenException" => "the temporary credentials have expired",
            "RequestTimeTooSkewed" => "the clock of this machine is wrong",
            "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => "it is in another region",
            _ => return None,
        })
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}", self.operation, self.said)?;
        match self.advice() {
            Some(advice) => write!(f, " ({advice})"),
            None => Ok(()),
        }
    }
}

impl Error for ServiceError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_do() {
        let error = ServiceError {
            operation: "PutObject",
            code: Some("NoSuchBucket".into()),
            status: Some(404),
            said: "NoSuchBucket: The specified bucket does not exist".into(),
        };
        assert_eq!(
            error.to_string(),
            "PutObject failed: NoSuchBucket: The specified bucket does not exist (there is no such bucket: check its name and region)"
        );
    }

    #[tokio::test]
    async fn settings_go_before_what_the_environment_says() {
        let config = sdk_config("eu-central-1", "http://127.0.0.1:9").await;
        assert_eq!((config.region().map(AsRef::as_ref), config.endpoint_url()), (Some("eu-central-1"), Some("http://127.0.0.1:9")));
    }
}
