//! S3: a part sent as a browser sends it, preflight included; reads, ranges, privacy, and the clock by which signatures are made.
//!
//! Leaves two small objects, which the probes of MediaConvert and CloudFront use; [`S3Probe::clean_up`] removes them.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use bytes::Bytes;
use domain::{
    ids::{GenerationId, UploadId},
    storage_key::StorageKey,
    upload::{PartPlan, PartTarget},
};
use futures::{StreamExt, TryStreamExt};
use uuid::Uuid;

use super::{COMPARE_POLICY, mend};
use crate::{
    adapters::{
        check::Check,
        web::{Web, WebAnswer},
    },
    ports::blob_store::{BlobError, BlobStore, ByteRange, ByteStream},
};

/// Name of the published test object below its generation.
pub const FILE: &str = "doctor.mp4";
/// Signatures are refused from 15 minutes on; from here on something is wrong with the clock.
const MOST_SKEW_SECONDS: i64 = 60;

/// What is probed, and with what.
#[derive(Debug)]
pub struct S3Probe<'a> {
    /// The store.
    pub store: &'a dyn BlobStore,
    /// For requests as a browser makes them.
    pub web: &'a Web,
    /// Where the dashboard's pages come from: scheme, host and port.
    pub origin: &'a str,
    /// Bucket for sources.
    pub input_bucket: &'a str,
    /// Bucket for published objects.
    pub output_bucket: &'a str,
    /// What is stored: a tiny clip.
    pub clip: &'static [u8],
    /// The test object among the sources.
    pub source: StorageKey,
    /// The generation of the published test object.
    pub generation: GenerationId,
    /// Whether there may be something to remove.
    begun: AtomicBool,
}

/// Why a probe ends early.
enum Stop {
    Store(&'static str, BlobError),
    Told(Check),
}

impl<'a> S3Probe<'a> {
    /// A probe with names that nothing else has.
    pub fn new(store: &'a dyn BlobStore, web: &'a Web, origin: &'a str, buckets: (&'a str, &'a str), clip: &'static [u8]) -> Self {
        let source = StorageKey::Source { upload: UploadId(Uuid::now_v7()) };
        let generation = GenerationId(Uuid::now_v7());
        Self {
            store,
            web,
            origin,
            input_bucket: buckets.0,
            output_bucket: buckets.1,
            clip,
            source,
            generation,
            begun: AtomicBool::new(false),
        }
    }

    /// Uploads to the input bucket and publishes to the output bucket.
    pub async fn check(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        let url = match self.upload(&mut checks).await {
            Ok(url) => url,
            Err(stop) => {
                checks.push(stop.into_check("input bucket", self.input_bucket));
                return checks;
            }
        };
        checks.push(Check::good("input bucket", format!("{}: took a part from a signed URL, and gave it back", self.input_bucket)));
        checks.push(self.is_private("input bucket's privacy", &url).await);
        match self.publish().await {
            Ok(()) => checks.push(Check::good("output bucket", format!("{}: took an object, and listed it", self.output_bucket))),
            Err(stop) => {
                checks.push(stop.into_check("output bucket", self.output_bucket));
                return checks;
            }
        }
        let published = url.replace(self.input_bucket, self.output_bucket).replace(&self.source.to_string(), &self.published().to_string());
        checks.push(self.is_private("output bucket's privacy", &published).await);
        checks
    }

    /// The published test object.
    pub fn published(&self) -> StorageKey {
        StorageKey::Published { generation: self.generation, file: FILE.to_owned() }
    }

    /// Deletes what [`S3Probe::check`] left, if it got as far as leaving something.
    pub async fn clean_up(&self) -> Option<Check> {
        if !self.begun.load(Ordering::Relaxed) {
            return None;
        }
        let deleted = async {
            self.store.delete(&self.source).await?;
            self.store.delete_prefix(&StorageKey::generation_prefix(self.generation)).await?;
            match self.store.size(&self.source).await {
                Err(BlobError::NotFound) => Ok(()),
                Err(error) => Err(error),
                Ok(_) => Err(BlobError::Unavailable("the object is still there".into())),
            }
        };
        Some(match deleted.await {
            Ok(()) => Check::good("deletion", "the test objects are gone"),
            Err(error) => Check::bad("deletion", format!("{} and {} stay: {error}", self.source, self.published()), COMPARE_POLICY),
        })
    }

    /// Sends the clip as a browser does; gives the object's plain URL.
    async fn upload(&self, checks: &mut Vec<Check>) -> Result<String, Stop> {
        let size = self.clip.len() as u64;
        let plan = PartPlan { file_size: size, part_size: size };
        let upload = self.store.begin_multipart(&self.source, plan).await.map_err(|error| Stop::Store("cannot begin an upload", error))?;
        self.begun.store(true, Ordering::Relaxed);
        let sent = self.send_part(checks, &upload, plan).await;
        if sent.is_err() {
            // What went wrong is told already; an upload that stays is ended by the bucket's lifecycle rule.
            let _ = self.store.abort_multipart(&self.source, &upload).await;
        }
        let url = sent?;
        self.store
            .complete_multipart(&self.source, &upload, plan)
            .await
            .map_err(|error| Stop::Store("cannot complete an upload", error))?;
        let range = Some(ByteRange { first: 4, last: Some(7) });
        let read = self.store.get(&self.source, range).await.map_err(|error| Stop::Store("cannot read an object", error))?;
        let bytes: Vec<Bytes> =
            read.body.try_collect().await.map_err(|error| Stop::Store("cannot read an object", BlobError::Unavailable(Box::new(error))))?;
        if bytes.concat() != self.clip[4..8] {
            return Err(Stop::Told(Check::bad(
                "input bucket",
                "a range of the object came back with other bytes",
                "Look at what stands between this machine and S3: it changes answers.",
            )));
        }
        Ok(url)
    }

    async fn send_part(
        &self,
        checks: &mut Vec<Check>,
        upload: &crate::ports::blob_store::MultipartId,
        plan: PartPlan,
    ) -> Result<String, Stop> {
        let crc32c = crate::crc32c::append(0, self.clip);
        let Some(presigner) = self.store.presigner() else {
            return Err(Stop::Store("cannot sign a URL", BlobError::NotFound));
        };
        let target = presigner.presign_part(&self.source, upload, plan, 1, crc32c).await;
        let PartTarget::Put { url, headers } = target.map_err(|error| Stop::Store("cannot sign a URL", error))? else {
            return Err(Stop::Store("cannot sign a URL", BlobError::ChecksumMismatch));
        };
        checks.push(self.preflight(&url, &headers).await);
        let mut with_origin: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        with_origin.push(("origin", self.origin));
        let answer = self.web.send("PUT", &url, &with_origin, Bytes::from_static(self.clip)).await;
        let answer = answer.map_err(|error| {
            let advice = "Browsers send parts straight there: look at `s3.endpoint`, and at firewalls and proxies.";
            Stop::Told(Check::bad("input bucket", format!("cannot reach a signed URL: {error}"), advice))
        })?;
        checks.extend(answer.header("date").and_then(clock));
        if answer.status != 200 {
            return Err(Stop::Told(refused_part(&answer)));
        }
        Ok(url.split('?').next().unwrap_or_default().to_owned())
    }

    /// The question that a browser asks before it sends a part to another origin.
    async fn preflight(&self, url: &str, headers: &[(String, String)]) -> Check {
        let name = "CORS of the input bucket";
        let asked: Vec<String> = headers.iter().map(|header| header.0.to_ascii_lowercase()).chain(["content-type".to_owned()]).collect();
        let asked_headers = asked.join(",");
        let question =
            [("origin", self.origin), ("access-control-request-method", "PUT"), ("access-control-request-headers", asked_headers.as_str())];
        let answer = match self.web.send("OPTIONS", url, &question, Bytes::new()).await {
            Ok(answer) => answer,
            Err(error) => return Check::bad(name, format!("cannot ask: {error}"), "Look at `s3.endpoint` and at the network."),
        };
        match missing(&answer, self.origin, &asked) {
            None => Check::good(name, format!("pages of {} may send parts", self.origin)),
            Some(missing) => {
                let advice = format!(
                    "Allow it in the CORS rules of {}: origin {}, method PUT, headers content-type and x-amz-checksum-crc32c (Terraform: \
                     `app_origins`); or set `public_url` to what browsers show.",
                    self.input_bucket, self.origin
                );
                Check::bad(name, format!("browsers would not send parts: {missing} (status {})", answer.status), advice)
            }
        }
    }

    async fn publish(&self) -> Result<(), Stop> {
        let body: ByteStream = futures::stream::iter([Ok(Bytes::from_static(self.clip))]).boxed();
        let size = self.clip.len() as u64;
        self.store.put_stream(&self.published(), body, size).await.map_err(|error| Stop::Store("cannot write an object", error))?;
        let listed = self.store.list_generation(self.generation).await.map_err(|error| Stop::Store("cannot list objects", error))?;
        if listed.get(FILE) == Some(&size) {
            return Ok(());
        }
        Err(Stop::Told(Check::bad("output bucket", format!("an object that was written is not listed: {listed:?}"), COMPARE_POLICY)))
    }

    /// Whether somebody without a signature is refused.
    async fn is_private(&self, name: &'static str, url: &str) -> Check {
        match self.web.get(url).await {
            Ok(answer) if matches!(answer.status, 401 | 403) => Check::good(name, "nobody reads it without a signature"),
            Ok(answer) => Check::bad(
                name,
                format!("a request without a signature is answered with {}", answer.status),
                "Block public access to the bucket, and take out of its policy whatever lets everybody read.",
            ),
            Err(error) => Check::bad(name, format!("cannot ask: {error}"), "Look at `s3.endpoint` and at the network."),
        }
    }
}

impl Stop {
    fn into_check(self, name: &'static str, bucket: &str) -> Check {
        match self {
            Self::Told(check) => check,
            Self::Store(what, error) => {
                let detail = format!("{bucket}: {what}: {error}");
                let advice = mend(&detail, "Look at the bucket's name, at `aws.region`, and whether this machine reaches S3.");
                Check::bad(name, detail, advice)
            }
        }
    }
}

fn refused_part(answer: &WebAnswer) -> Check {
    let advice = mend(&answer.text(), "Where a proxy stands in between, let it keep host and headers as they are.");
    Check::bad("input bucket", format!("a signed URL is refused: {}", answer.summary()), advice)
}

/// What is missing in the answer to a preflight.
fn missing(answer: &WebAnswer, origin: &str, headers: &[String]) -> Option<String> {
    let list = |name: &str| answer.header(name).unwrap_or_default().to_ascii_lowercase();
    let allows = |list: &str, wanted: &str| list.split(',').map(str::trim).any(|allowed| allowed == "*" || allowed == wanted);
    if !(200..300).contains(&answer.status) || !allows(&list("access-control-allow-origin"), &origin.to_ascii_lowercase()) {
        return Some(format!("the origin {origin} is not allowed"));
    }
    if !allows(&list("access-control-allow-methods"), "put") {
        return Some("the method PUT is not allowed".to_owned());
    }
    let allowed = list("access-control-allow-headers");
    let refused: Vec<_> = headers.iter().filter(|header| !allows(&allowed, header)).cloned().collect();
    (!refused.is_empty()).then(|| format!("these headers are not allowed: {}", refused.join(", ")))
}

/// How far this machine's clock is from that of the service, by its `Date`.
fn clock(date: &str) -> Option<Check> {
    let theirs = DateTime::from_str(date, DateTimeFormat::HttpDate).ok()?.secs();
    let ours = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?;
    let skew = ours - theirs;
    let detail = format!("{} s {} that of S3", skew.abs(), if skew < 0 { "behind" } else { "ahead of" });
    Some(match skew.abs() <= MOST_SKEW_SECONDS {
        true => Check::good("clock", detail),
        false => {
            Check::bad("clock", detail, "Signatures carry the time: let this machine follow a time server (timedatectl set-ntp true).")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_wrong_is_told() {
        let now = |offset| DateTime::from_secs(i64::try_from(crate::clock::now_seconds()).expect("small") + offset);
        let date = |offset| now(offset).fmt(DateTimeFormat::HttpDate).expect("a date");
        assert!(clock(&date(0)).expect("read").ok && clock(&date(-30)).expect("read").ok);
        let behind = clock(&date(600)).expect("read");
        assert!(!behind.ok && behind.detail.contains("behind"), "{behind:?}");
        assert_eq!(clock("yesterday"), None);
    }
}
