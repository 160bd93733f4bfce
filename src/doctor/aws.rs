//! What the settings choose on AWS. The probes build on each other: the test object of S3 is looked at by MediaConvert and fetched through
//! CloudFront, and removed at the end.

use server::{
    adapters::{
        aws::sdk_config,
        aws_doctor::{
            self, SdkConfig,
            mediaconvert::MediaConvertProbe,
            s3::{FILE, S3Probe},
            sqs,
        },
        check::Check,
        cloudfront_cdn::CloudFrontCdn,
        s3_store::S3Store,
        web::Web,
    },
    config::{CdnKind, QueueKind, Settings, StoreKind, TranscoderKind},
    ports::blob_store::BlobStore,
};

use super::CLIP;
use crate::compose::{StartError, cloudfront_options, s3_options};

/// Probes what is chosen; nothing is asked where nothing is.
pub(super) async fn check(settings: &Settings) -> Vec<Check> {
    let ports = &settings.ports;
    if ports.store != StoreKind::S3 && ports.queue != QueueKind::Sqs {
        return Vec::new();
    }
    let sdk = sdk_config(&settings.aws.region, &settings.aws.endpoint).await;
    let credentials = aws_doctor::credentials(&sdk).await;
    if !credentials.ok {
        return vec![credentials];
    }
    let mut checks = vec![credentials];
    if ports.queue == QueueKind::Sqs {
        let events = ports.transcoder == TranscoderKind::Mediaconvert;
        checks.extend(sqs::check(&sdk, &settings.sqs.queue_url, &settings.sqs.endpoint, events).await);
    }
    if ports.store == StoreKind::S3 {
        checks.extend(around_the_store(settings, &sdk).await);
    }
    checks
}

/// S3, and what reads from it.
async fn around_the_store(settings: &Settings, sdk: &SdkConfig) -> Vec<Check> {
    let (store, web) = (S3Store::new(sdk, s3_options(settings)), Web::default());
    let buckets = (settings.s3.input_bucket.as_str(), settings.s3.output_bucket.as_str());
    let probe = S3Probe::new(&store, &web, origin(&settings.public_url), buckets, CLIP);
    let mut checks = probe.check().await;
    let stored = checks.iter().all(|check| check.ok || check.name.starts_with("CORS"));
    if settings.ports.transcoder == TranscoderKind::Mediaconvert {
        let clip_url = store.url(&probe.source);
        let probe = MediaConvertProbe {
            role_arn: &settings.mediaconvert.role_arn,
            queue_arn: &settings.mediaconvert.queue_arn,
            endpoint: &settings.mediaconvert.endpoint,
            clip_url: stored.then_some(clip_url.as_str()),
        };
        checks.extend(probe.check(sdk).await);
    }
    if settings.ports.cdn == CdnKind::Cloudfront {
        match cloudfront(settings, sdk) {
            Ok(cdn) => {
                let published = stored.then_some((probe.generation, FILE, CLIP));
                checks.extend(cdn.check(&web, published, &settings.cloudfront.origin_secret).await);
            }
            Err(error) => checks.push(Check::bad("signing key", error.to_string(), "docs/on-aws.md says how to make a key pair.")),
        }
    }
    checks.extend(probe.clean_up().await);
    checks
}

fn cloudfront(settings: &Settings, sdk: &SdkConfig) -> Result<CloudFrontCdn, StartError> {
    Ok(CloudFrontCdn::new(sdk, cloudfront_options(settings)?)?)
}

/// Scheme, host and port of a URL: what browsers send as `Origin`.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find('/').map_or(url.len(), |at| host + at);
    &url[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_no_path() {
        assert_eq!(origin("https://v.example:8443/below/this"), "https://v.example:8443");
        assert_eq!(origin("http://v.example"), "http://v.example");
    }
}
