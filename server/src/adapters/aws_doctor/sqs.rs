//! SQS: the queue's attributes, and a message that is sent, received and deleted.

use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_sdk_sqs::{
    Client,
    config::Builder,
    types::{Message, QueueAttributeName},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::mend;
use crate::adapters::{aws::ServiceError, check::Check};

/// How long the message may take to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long messages of others are kept from them while we look for our own.
const HOLD_SECONDS: i32 = 30;

/// Probes the queue. `events` says whether MediaConvert's events are to come this way.
pub async fn check(sdk: &SdkConfig, queue_url: &str, endpoint: &str, events: bool) -> Vec<Check> {
    let mut config = Builder::from(sdk);
    if !endpoint.is_empty() {
        config = config.endpoint_url(endpoint);
    }
    let client = Client::from_conf(config.build());
    let mut checks = attributes(&client, queue_url, events).await;
    checks.push(round_trip(&client, queue_url).await);
    checks
}

async fn attributes(client: &Client, queue_url: &str, events: bool) -> Vec<Check> {
    let name = "queue";
    let asked = client.get_queue_attributes().queue_url(queue_url).attribute_names(QueueAttributeName::All).send().await;
    let found = match asked.map_err(|error| ServiceError::new("GetQueueAttributes", error)) {
        Ok(found) => found,
        Err(error) => {
            return vec![refused(name, &error)];
        }
    };
    let attribute = |name: QueueAttributeName| found.attributes().and_then(|all| all.get(&name)).map(String::as_str).unwrap_or_default();
    let waiting = attribute(QueueAttributeName::ApproximateNumberOfMessages);
    let mut checks = vec![Check::good(name, format!("{queue_url}: about {waiting} messages wait"))];
    let redrive: Value = serde_json::from_str(attribute(QueueAttributeName::RedrivePolicy)).unwrap_or_default();
    checks.push(match (&redrive["deadLetterTargetArn"], &redrive["maxReceiveCount"]) {
        (Value::String(arn), times) => Check::good("dead-letter queue", format!("{arn}, after {times} deliveries")),
        _ => Check::bad(
            "dead-letter queue",
            "the queue has no redrive policy: a message that kills its workers would come again for ever",
            "Give the queue a dead-letter queue (deploy/terraform/queue.tf has one).",
        ),
    });
    if events && !attribute(QueueAttributeName::Policy).contains("events.amazonaws.com") {
        checks.push(Check::note(
            "MediaConvert's events",
            "the queue's policy does not name EventBridge, so its events may not arrive",
            "Encodes end all the same, some seconds later; deploy/terraform/queue.tf has the policy and the rule.",
        ));
    }
    checks
}

/// Sends a message that workers drop, and looks for it.
async fn round_trip(client: &Client, queue_url: &str) -> Check {
    let name = "messages";
    let nonce = Uuid::new_v4().to_string();
    // Without a version and an installation's name it is nothing that any worker keeps for a newer one.
    let body = json!({ "kind": "doctor", "nonce": nonce }).to_string();
    if let Err(error) = client.send_message().queue_url(queue_url).message_body(body).send().await {
        return refused(name, &ServiceError::new("SendMessage", error));
    }
    let mut others = Vec::new();
    let found = look_for(client, queue_url, &nonce, &mut others).await;
    for receipt in others {
        // At once, so that its worker need not wait. One that fails comes back by itself a little later.
        let _ = client.change_message_visibility().queue_url(queue_url).receipt_handle(receipt).visibility_timeout(0).send().await;
    }
    match found {
        Ok(Some(receipt)) => match client.delete_message().queue_url(queue_url).receipt_handle(receipt).send().await {
            Ok(_) => Check::good(name, "one was sent, received and deleted"),
            Err(error) => refused(name, &ServiceError::new("DeleteMessage", error)),
        },
        Ok(None) => Check::note(
            name,
            format!("one was sent; it did not come back in {} s", PATIENCE.as_secs()),
            "That is as it should be where workers run: one of them took it. Else look whether something else reads this queue.",
        ),
        Err(error) => refused(name, &error),
    }
}

fn refused(name: &'static str, error: &ServiceError) -> Check {
    let said = error.to_string();
    let advice = mend(&said, "Look at `sqs.queue_url`, at `aws.region`, and whether this machine reaches SQS.");
    Check::bad(name, said, advice)
}

/// The receipt of the message with this nonce, if it comes in time. Receipts of others go to `others`.
async fn look_for(client: &Client, queue_url: &str, nonce: &str, others: &mut Vec<String>) -> Result<Option<String>, ServiceError> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        let receive = client.receive_message().queue_url(queue_url).max_number_of_messages(10).wait_time_seconds(2);
        let answer = receive.visibility_timeout(HOLD_SECONDS).send().await.map_err(|error| ServiceError::new("ReceiveMessage", error))?;
        let mut ours = None;
        for Message { receipt_handle, body, .. } in answer.messages.unwrap_or_default() {
            let is_ours = body.is_some_and(|body| body.contains(nonce));
            match receipt_handle {
                Some(receipt) if is_ours => ours = Some(receipt),
                Some(receipt) => others.push(receipt),
                None => {}
            }
        }
        if ours.is_some() {
            return Ok(ours);
        }
    }
    Ok(None)
}
