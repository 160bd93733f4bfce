//! MediaConvert's events as EventBridge puts them into the queue, read as what the transcoder's port calls a report. Only those of our own
//! jobs in our own environment say anything; the rest is for others.

use domain::ids::JobId;
use serde::Deserialize;
use serde_json::Value;

use super::message::Reading;
use crate::ports::{
    job_queue::Message,
    transcoder::{EncodeNews, EncodeReport, TranscodeId},
};

/// Who writes these events.
pub(super) const SOURCE: &str = "aws.mediaconvert";
/// What they are about.
const STATE_CHANGE: &str = "MediaConvert Job State Change";
/// Who started a job, in its metadata.
const APP: &str = "millrace";

/// EventBridge's envelope.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "detail-type")]
    detail_type: String,
    detail: Detail,
}

/// What MediaConvert says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    timestamp: i64,
    job_id: String,
    status: String,
    #[serde(default)]
    user_metadata: UserMetadata,
    #[serde(default)]
    job_progress: JobProgress,
    /// A number, so far.
    #[serde(default)]
    error_code: Value,
    #[serde(default)]
    error_message: String,
}

/// What our job carries.
#[derive(Default, Deserialize)]
struct UserMetadata {
    app: Option<String>,
    environment: Option<String>,
    job_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobProgress {
    job_percent_complete: Option<f64>,
}

/// Reads an event for the installation named `environment`.
pub(super) fn read(body: &str, environment: &str) -> Reading {
    let Ok(Envelope { detail_type, detail }) = serde_json::from_str(body) else {
        return Reading::Unknown("an event of MediaConvert that is not about a job's state");
    };
    if detail_type != STATE_CHANGE {
        return Reading::Unknown("an event of MediaConvert that is not about a job's state");
    }
    match (detail.user_metadata.app.as_deref(), &detail.user_metadata.environment) {
        (Some(APP), Some(own)) if own == environment => {}
        (Some(APP), Some(other)) => return Reading::Foreign { environment: other.clone() },
        _ => return Reading::Unknown("an event about a MediaConvert job that is none of ours"),
    }
    let Some(job) = detail.user_metadata.job_id.as_deref().and_then(|id| id.parse::<JobId>().ok()) else {
        return Reading::Unknown("an event about a MediaConvert job that names no job of ours");
    };
    match news(&detail) {
        Some(news) => {
            Reading::Message(Message::Encode(EncodeReport { job, encode: TranscodeId(detail.job_id), at_ms: detail.timestamp, news }))
        }
        None => Reading::Nothing,
    }
}

/// What an event tells, if anything: statuses that we do not know tell nothing, as do those about the input and the service's queue.
fn news(detail: &Detail) -> Option<EncodeNews> {
    match detail.status.as_str() {
        "PROGRESSING" => Some(EncodeNews::Progress { percent: 0 }),
        // Without a number there is nothing to show.
        "STATUS_UPDATE" => detail.job_progress.job_percent_complete.map(|percent| EncodeNews::Progress { percent: whole(percent) }),
        "COMPLETE" => Some(EncodeNews::Done),
        "ERROR" => Some(EncodeNews::Failed { code: code(&detail.error_code), detail: detail.error_message.clone() }),
        "CANCELED" => Some(EncodeNews::Canceled),
        _ => None,
    }
}

/// 0 to 100, whatever stands there.
fn whole(percent: f64) -> u8 {
    // A cast of a number in this range loses only what is behind the point.
    percent.clamp(0.0, 100.0) as u8
}

fn code(value: &Value) -> String {
    match value {
        Value::Null => "unknown".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const JOB: &str = "019ab0c4-1111-7000-8000-000000000001";

    /// An event as the service documents it, with these fields added to its detail.
    fn event(status: &str, more: &Value) -> Value {
        let mut event = json!({
            "version": "0", "id": "a1b2", "detail-type": STATE_CHANGE, "source": SOURCE, "account": "111122223333",
            "time": "2026-11-22T12:00:00Z", "region": "us-east-1",
            "resources": ["arn:aws:mediaconvert:us-east-1:111122223333:jobs/1700000000000-abcdef"],
            "detail": {
                "timestamp": 1_700_000_000_123_i64, "accountId": "111122223333",
                "queue": "arn:aws:mediaconvert:us-east-1:111122223333:queues/millrace",
                "jobId": "1700000000000-abcdef", "status": status,
                "userMetadata": {
                    "app": "millrace", "environment": "prod", "job_id": JOB,
                    "video_id": "019ab0c4-2222-7000-8000-000000000002", "generation": "019ab0c4-3333-7000-8000-000000000003"
                }
            }
        });
        for (name, value) in more.as_object().expect("fields") {
            event["detail"][name] = value.clone();
        }
        event
    }

    fn told(status: &str, more: &Value) -> Reading {
        read(&event(status, more).to_string(), "prod")
    }

    fn report(news: EncodeNews) -> Reading {
        Reading::Message(Message::Encode(EncodeReport {
            job: JOB.parse().expect("an id"),
            encode: TranscodeId("1700000000000-abcdef".into()),
            at_ms: 1_700_000_000_123,
            news,
        }))
    }

    #[test]
    fn every_status_says_what_it_means() {
        let progress = |percent: Value| json!({ "jobProgress": { "jobPercentComplete": percent, "currentPhase": "TRANSCODING" } });
        assert_eq!(told("PROGRESSING", &json!({})), report(EncodeNews::Progress { percent: 0 }));
        assert_eq!(told("STATUS_UPDATE", &progress(json!(42))), report(EncodeNews::Progress { percent: 42 }));
        assert_eq!(told("STATUS_UPDATE", &progress(json!(-3))), report(EncodeNews::Progress { percent: 0 }));
        assert_eq!(told("STATUS_UPDATE", &progress(json!(1e300))), report(EncodeNews::Progress { percent: 100 }));
        let phases = json!({ "jobProgress": { "phaseProgress": { "PROBING": { "status": "PROGRESSING", "percentComplete": 5 } } } });
        assert_eq!(told("STATUS_UPDATE", &phases), Reading::Nothing);
        assert_eq!(told("COMPLETE", &json!({ "outputGroupDetails": [{ "type": "CMAF_GROUP" }] })), report(EncodeNews::Done));
        assert_eq!(told("CANCELED", &json!({})), report(EncodeNews::Canceled));
        for status in ["INPUT_INFORMATION", "NEW_WARNING", "QUEUE_HOP", "SOMETHING_NEW"] {
            assert_eq!(told(status, &json!({})), Reading::Nothing, "{status}");
        }
    }

    #[test]
    fn a_failure_keeps_the_services_own_words() {
        let failed = |code: &str, detail: &str| report(EncodeNews::Failed { code: code.into(), detail: detail.into() });
        let words = "Unable to open input file";
        assert_eq!(told("ERROR", &json!({ "errorCode": 1404, "errorMessage": words })), failed("1404", words));
        assert_eq!(told("ERROR", &json!({ "errorCode": "1404", "errorMessage": words })), failed("1404", words));
        assert_eq!(told("ERROR", &json!({})), failed("unknown", ""));
    }

    #[test]
    fn the_events_of_others_are_not_ours() {
        let own = event("COMPLETE", &json!({}));
        assert_eq!(read(&own.to_string(), "staging"), Reading::Foreign { environment: "prod".into() });
        let changed = |change: &dyn Fn(&mut Value)| {
            let mut event = own.clone();
            change(&mut event);
            read(&event.to_string(), "prod")
        };
        for other in [
            changed(&|event| event["detail-type"] = json!("MediaConvert Queue Hop")),
            changed(&|event| event["detail"]["userMetadata"] = json!({})),
            changed(&|event| event["detail"]["userMetadata"]["app"] = json!("somebody")),
            changed(&|event| event["detail"]["userMetadata"]["job_id"] = json!("7")),
            changed(&|event| event["detail"] = json!("nonsense")),
        ] {
            assert!(matches!(other, Reading::Unknown(_)), "{other:?}");
        }
    }
}
