//! What stands in a message of the queue: our wake-ups, and how anything else is told from them. The body alone decides; message attributes
//! are for people who look.

use domain::ids::{JobId, VideoId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::mediaconvert_event::{self, SOURCE};
use crate::ports::job_queue::{Message, WakeUp};

/// The kind of a wake-up, in its body and as an attribute.
pub(super) const WAKE_UP: &str = "wake_up";
/// The version of our format that this process writes, and the newest one that it reads.
const VERSION: u64 = 1;

/// What came of reading a message.
#[derive(Debug, PartialEq)]
pub(super) enum Reading {
    /// It says something to us.
    Message(Message),
    /// It is meant for us and tells nothing that anybody waits for.
    Nothing,
    /// One of ours, written by a newer process than this one. It is for that one to take.
    Newer,
    /// Another installation's.
    Foreign {
        /// The installation's name.
        environment: String,
    },
    /// Nothing that we know.
    Unknown(&'static str),
}

/// As much of a body as tells what it is. Whatever else stands there, and of whatever type, is no hindrance: EventBridge's version is a text,
/// ours is a number.
#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    kind: Value,
    #[serde(default)]
    version: Value,
    #[serde(default)]
    source: Value,
    #[serde(default)]
    metadata: Value,
}

/// A wake-up as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct WakeUpBody {
    kind: String,
    version: u64,
    job_id: JobId,
    video_id: VideoId,
    #[serde(default)]
    metadata: Metadata,
}

/// Where and when a message was written.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Metadata {
    environment: Option<String>,
    sent_at_ms: Option<i64>,
}

/// The body of a wake-up.
///
/// # Errors
/// Never, as long as the body has no maps with odd keys.
pub(super) fn write(wake_up: WakeUp, environment: &str, sent_at_ms: i64) -> serde_json::Result<String> {
    serde_json::to_string(&WakeUpBody {
        kind: WAKE_UP.to_owned(),
        version: VERSION,
        job_id: wake_up.job,
        video_id: wake_up.video,
        metadata: Metadata { environment: Some(environment.to_owned()), sent_at_ms: Some(sent_at_ms) },
    })
}

/// Reads a body for the installation named `environment`.
pub(super) fn read(body: &str, environment: &str) -> Reading {
    let Ok(kind) = serde_json::from_str::<Kind>(body) else { return Reading::Unknown("no JSON object") };
    if kind.source == SOURCE {
        return mediaconvert_event::read(body, environment);
    }
    match (kind.kind.as_str(), kind.version.as_u64(), kind.metadata["environment"].as_str()) {
        (Some(WAKE_UP), _, Some(other)) if other != environment => Reading::Foreign { environment: other.to_owned() },
        (Some(WAKE_UP), Some(VERSION), _) => match serde_json::from_str::<WakeUpBody>(body) {
            Ok(body) => Reading::Message(Message::WakeUp(WakeUp { job: body.job_id, video: body.video_id })),
            Err(_) => Reading::Unknown("a wake-up without the ids that it should have"),
        },
        (Some(WAKE_UP), Some(version), _) if version > VERSION => Reading::Newer,
        // A kind that only a newer process of this installation can have written.
        (Some(kind), Some(_), Some(ours)) if kind != WAKE_UP && ours == environment => Reading::Newer,
        _ => Reading::Unknown("JSON of a kind that is not known here"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::transcoder::{EncodeNews, EncodeReport, TranscodeId};
    use uuid::Uuid;

    fn wake_up() -> WakeUp {
        WakeUp { job: JobId(Uuid::from_u128(1)), video: VideoId(Uuid::from_u128(2)) }
    }

    #[test]
    fn a_wake_up_reads_back_and_looks_as_promised() {
        let body = write(wake_up(), "prod", 1_700_000_000_000).expect("JSON");
        let expected = serde_json::json!({
            "kind": "wake_up",
            "version": 1,
            "job_id": "00000000-0000-0000-0000-000000000001",
            "video_id": "00000000-0000-0000-0000-000000000002",
            "metadata": { "environment": "prod", "sent_at_ms": 1_700_000_000_000_i64 },
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&body).expect("JSON"), expected);
        assert_eq!(read(&body, "prod"), Reading::Message(Message::WakeUp(wake_up())));
        assert_eq!(read(&body, "staging"), Reading::Foreign { environment: "prod".into() });
    }

    #[test]
    fn more_fields_than_known_do_not_matter_and_a_newer_version_is_left_alone() {
        let mut body: serde_json::Value = serde_json::from_str(&write(wake_up(), "prod", 0).expect("JSON")).expect("JSON");
        body["priority"] = 7.into();
        assert_eq!(read(&body.to_string(), "prod"), Reading::Message(Message::WakeUp(wake_up())));
        body["version"] = 2.into();
        assert_eq!(read(&body.to_string(), "prod"), Reading::Newer);
        assert_eq!(read(r#"{"kind":"captions","version":1,"metadata":{"environment":"prod"}}"#, "prod"), Reading::Newer);
    }

    #[test]
    fn an_event_in_its_envelope_is_told_from_a_wake_up() {
        let event = serde_json::json!({
            "version": "0", "source": "aws.mediaconvert", "detail-type": "MediaConvert Job State Change",
            "detail": {
                "timestamp": 5, "jobId": "j", "status": "COMPLETE",
                "userMetadata": { "app": "millrace", "environment": "prod", "job_id": Uuid::from_u128(1) }
            }
        });
        let report = EncodeReport { job: wake_up().job, encode: TranscodeId("j".into()), at_ms: 5, news: EncodeNews::Done };
        assert_eq!(read(&event.to_string(), "prod"), Reading::Message(Message::Encode(report)));
        assert_eq!(read(&event.to_string(), "staging"), Reading::Foreign { environment: "prod".into() });
    }

    #[test]
    fn what_is_no_message_is_known_as_none() {
        let deep = "[".repeat(100_000);
        for body in [
            "",
            "hello",
            "null",
            "[1, 2]",
            "{}",
            r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}"#,
            r#"{"source":"aws.s3","detail-type":"Object Created","detail":{}}"#,
            r#"{"kind":"wake_up"}"#,
            r#"{"kind":"wake_up","version":0}"#,
            r#"{"kind":"wake_up","version":1,"job_id":"1","video_id":"2"}"#,
            r#"{"kind":"wake_up","version":1,"job_id":"../../etc","video_id":null,"metadata":{}}"#,
            r#"{"kind":"other","version":1,"metadata":{"environment":"elsewhere"}}"#,
            r#"{"kind":7}"#,
            deep.as_str(),
        ] {
            assert!(matches!(read(body, "prod"), Reading::Unknown(_)), "{body}: {:?}", read(body, "prod"));
        }
    }
}
