//! SQS: wake-ups, and MediaConvert's events beside them, in one queue. A message is taken by whoever asks first, is invisible to others while
//! its work goes on, and comes again where nobody ends it; after several times the queue itself puts it aside (its redrive policy).
//!
//! What is not for us is deleted here: the queue is this installation's alone, so nobody else waits for it, and kept it would come again until
//! the alarm goes that is meant for messages which kill their workers. The exception is a message in a newer version of our own format: it is
//! left for the newer process that understands it.

use std::time::Duration;

use aws_sdk_sqs::{
    Client,
    config::{Builder, http::HttpResponse, retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    types::{Message as SqsMessage, MessageAttributeValue, MessageSystemAttributeName},
};

use self::message::{Reading, WAKE_UP};
use crate::{
    adapters::aws::ServiceError,
    clock::now_ms,
    ports::job_queue::{Delivery, HEARTBEAT, JobQueue, QueueError, Receipt, WakeUp},
};

mod mediaconvert_event;
mod message;

/// The longest wait for messages that the service allows, in seconds.
const LONGEST_POLL_SECONDS: u64 = 20;
/// Messages in one answer at most.
const LARGEST_BATCH: usize = 10;
/// Deliveries of one message from which on something is amiss: its workers die, or cannot end it.
const MANY_DELIVERIES: u32 = 3;

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// How long an answer that waits for nothing may take; a request of a user's may stand behind it.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The same with new tries.
const GIVE_UP_AFTER: Duration = Duration::from_secs(12);

/// What a queue is opened with.
#[derive(Debug, Clone)]
pub struct SqsOptions {
    /// The queue.
    pub queue_url: String,
    /// Base URL of the service; empty for what the SDK's configuration says.
    pub endpoint: String,
    /// How long a message that nobody extends is kept from others.
    pub visibility: Duration,
    /// This installation's name, as it stands in messages and in the metadata of MediaConvert's jobs.
    pub environment: String,
}

/// A queue of SQS.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    queue_url: String,
    environment: String,
    visibility: Duration,
}

impl SqsQueue {
    /// The queue that `options` name, reached with the region and credentials of `sdk`.
    pub fn new(sdk: &aws_config::SdkConfig, options: SqsOptions) -> Self {
        let mut config = Builder::from(sdk).timeout_config(answering_within(ANSWER_WITHIN, GIVE_UP_AFTER));
        if !options.endpoint.is_empty() {
            config = config.endpoint_url(&options.endpoint);
        }
        Self {
            client: Client::from_conf(config.build()),
            queue_url: options.queue_url,
            environment: options.environment,
            visibility: options.visibility,
        }
    }

    fn visibility_seconds(&self) -> i32 {
        i32::try_from(self.visibility.as_secs()).unwrap_or(i32::MAX)
    }

    /// What a message says to this process; whatever else it is, is done with here.
    async fn sort(&self, message: SqsMessage) -> Option<Delivery> {
        let SqsMessage { message_id, receipt_handle, body, attributes, .. } = message;
        let (message_id, body) = (message_id.unwrap_or_default(), body.unwrap_or_default());
        let receipt = Receipt(receipt_handle?);
        let deliveries = attributes
            .and_then(|attributes| attributes.get(&MessageSystemAttributeName::ApproximateReceiveCount)?.parse::<u32>().ok())
            .unwrap_or(1);
        if deliveries >= MANY_DELIVERIES {
            tracing::warn!(message_id, deliveries, "a message comes again and again: its workers die, or cannot end it");
        }
        match message::read(&body, &self.environment) {
            Reading::Message(message) => return Some(Delivery { message, receipt: Some(receipt) }),
            Reading::Newer => {
                tracing::warn!(message_id, "a message that a newer version of this program wrote; leaving it to that one");
                return None;
            }
            Reading::Nothing => tracing::debug!(message_id, "a message that tells nothing anybody waits for"),
            Reading::Foreign { environment } => {
                tracing::warn!(message_id, environment, "deleted a message of another installation: does it share this queue?");
            }
            Reading::Unknown(what) => {
                tracing::warn!(message_id, size_bytes = body.len(), what, "deleted a message that is not for this program");
            }
        }
        if let Err(error) = self.acknowledge(&receipt).await {
            tracing::warn!(message_id, %error, "a message could not be deleted; it will come again");
        }
        None
    }
}

#[async_trait::async_trait]
impl JobQueue for SqsQueue {
    async fn send(&self, wake_up: WakeUp) -> Result<(), QueueError> {
        let body = message::write(wake_up, &self.environment, now_ms()).map_err(|error| QueueError(Box::new(error)))?;
        let kind = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(WAKE_UP)
            .build()
            .map_err(|error| QueueError(Box::new(error)))?;
        let send = self.client.send_message().queue_url(&self.queue_url).message_body(body).message_attributes("kind", kind);
        send.send().await.map_err(|error| failed("SendMessage", error))?;
        Ok(())
    }

    async fn receive(&self, patience: Duration, most: usize) -> Result<Vec<Delivery>, QueueError> {
        let wait = poll_seconds(patience);
        let most = i32::try_from(most.clamp(1, LARGEST_BATCH)).unwrap_or(1);
        // The service answers when the wait is over; only an answer that is later than that is late. The next try is the caller's: the rows
        // come first.
        let late = Duration::from_secs(wait) + ANSWER_WITHIN;
        let patient = Builder::new().timeout_config(answering_within(late, late)).retry_config(RetryConfig::disabled());
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.queue_url)
            .max_number_of_messages(most)
            .wait_time_seconds(i32::try_from(wait).unwrap_or_default())
            .visibility_timeout(self.visibility_seconds())
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .customize()
            .config_override(patient)
            .send()
            .await
            .map_err(|error| failed("ReceiveMessage", error))?;
        let mut deliveries = Vec::new();
        for message in answer.messages.unwrap_or_default() {
            deliveries.extend(self.sort(message).await);
        }
        Ok(deliveries)
    }

    async fn extend(&self, receipt: &Receipt) -> Result<(), QueueError> {
        let extend = self.client.change_message_visibility().queue_url(&self.queue_url).receipt_handle(&receipt.0);
        unless_gone("ChangeMessageVisibility", extend.visibility_timeout(self.visibility_seconds()).send().await)
    }

    async fn acknowledge(&self, receipt: &Receipt) -> Result<(), QueueError> {
        unless_gone("DeleteMessage", self.client.delete_message().queue_url(&self.queue_url).receipt_handle(&receipt.0).send().await)
    }

    fn heartbeat(&self) -> Duration {
        // One that is lost does no harm.
        HEARTBEAT.min(self.visibility / 3)
    }
}

/// Limits on the time that one try and all tries may take.
fn answering_within(one_try: Duration, all_tries: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_WITHIN)
        .read_timeout(one_try)
        .operation_attempt_timeout(one_try)
        .operation_timeout(all_tries)
        .build()
}

/// The service waits in whole seconds. Rounded up: an answer at once to somebody who meant to wait would be asked for again at once.
fn poll_seconds(patience: Duration) -> u64 {
    let rounded_up = patience.as_secs() + u64::from(patience.subsec_nanos() > 0);
    rounded_up.min(LONGEST_POLL_SECONDS)
}

/// What a receipt is refused with that belongs to a message which is gone, or came again meanwhile, or never was: not ours to worry about.
fn unless_gone<T, E>(operation: &'static str, result: Result<T, SdkError<E, HttpResponse>>) -> Result<(), QueueError>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match result {
        Ok(_) => Ok(()),
        Err(error) if error.code().is_some_and(means_gone) => {
            tracing::debug!(operation, code = error.code(), "a receipt that no longer counts");
            Ok(())
        }
        Err(error) => Err(failed(operation, error)),
    }
}

/// Codes of refusals that are about the receipt. What else could be wrong with the parameters is checked when settings are read.
fn means_gone(code: &str) -> bool {
    ["ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue"].iter().any(|gone| code.ends_with(gone))
}

fn failed<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> QueueError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    QueueError(Box::new(ServiceError::new(operation, error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_whole_seconds_that_the_service_allows() {
        for (patience, seconds) in [(0, 0), (1, 1), (300, 1), (1_000, 1), (4_001, 5), (20_000, 20), (3_600_000, 20)] {
            assert_eq!(poll_seconds(Duration::from_millis(patience)), seconds, "{patience} ms");
        }
    }

    #[test]
    fn a_receipt_that_no_longer_counts_is_no_failure_and_a_missing_queue_is() {
        for code in ["ReceiptHandleIsInvalid", "AWS.SimpleQueueService.MessageNotInflight", "InvalidParameterValue"] {
            assert!(means_gone(code), "{code}");
        }
        for code in ["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "AccessDenied", "RequestThrottled", "InvalidAddress"] {
            assert!(!means_gone(code), "{code}");
        }
    }
}
