//! Alerts by webhook, signed as Standard Webhooks says (<https://www.standardwebhooks.com>): whoever has the secret knows that they are ours, and
//! knows one that comes twice by its id.

use std::fmt;

use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};

use super::outgoing::Outgoing;
use crate::{
    clock::now_seconds,
    ports::alert_channel::{AlertChannel, ChannelError, Notice},
};

/// Where they go.
pub struct WebhookChannel {
    client: Outgoing,
    url: String,
    signer: Webhook,
}

impl fmt::Debug for WebhookChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookChannel").field("client", &self.client).finish_non_exhaustive()
    }
}

impl WebhookChannel {
    /// To `url`, signed with `secret`; `private` says whether that may lead to a private network.
    ///
    /// # Errors
    /// A sentence that names the setting which cannot be used.
    pub fn new(url: &str, secret: &str, private: bool) -> Result<Self, String> {
        let signer = Webhook::new(secret).map_err(|_| "the setting `alerts.webhook_secret` is not Base64".to_owned())?;
        let client = if private { Outgoing::anywhere() } else { Outgoing::public() };
        Ok(Self { client, url: url.to_owned(), signer })
    }
}

#[async_trait::async_trait]
impl AlertChannel for WebhookChannel {
    fn name(&self) -> &'static str {
        "webhook"
    }

    async fn send(&self, notice: &Notice) -> Result<(), ChannelError> {
        let said = |error: &dyn fmt::Display| ChannelError(error.to_string());
        let body = serde_json::to_vec(notice).map_err(|error| said(&error))?;
        let id = format!("msg_{}", notice.id.simple());
        // Signed anew at each try: receivers refuse what is older than a few minutes.
        let now = i64::try_from(now_seconds()).unwrap_or_default();
        let signature = self.signer.sign(&id, now, &body).map_err(|error| said(&error))?;
        let now = now.to_string();
        let headers = [
            ("content-type", "application/json"),
            (HEADER_WEBHOOK_ID, id.as_str()),
            (HEADER_WEBHOOK_TIMESTAMP, now.as_str()),
            (HEADER_WEBHOOK_SIGNATURE, signature.as_str()),
        ];
        let answer = self.client.post(&self.url, &headers, body).await.map_err(|error| said(&error))?;
        match answer.status {
            200..300 => Ok(()),
            status => Err(ChannelError(format!("the receiver answers {status}"))),
        }
    }
}
