//! From settings to a running product: opens the database and chooses the adapters. The only place that names them.

use std::{os::unix::fs::DirBuilderExt, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use secrecy::ExposeSecret;
use server::{
    adapters::{
        alert_mail::MailChannel,
        alert_webhook::WebhookChannel,
        aws::sdk_config,
        cloudfront_cdn::{CloudFrontCdn, CloudFrontOptions, KeyError},
        db_queue::DbQueue,
        ffmpeg_transcoder::{self, FfmpegSettings, FfmpegTranscoder, Limits, SandboxMode},
        fs_store::FsStore,
        mediaconvert_transcoder::{MediaConvertOptions, MediaConvertTranscoder},
        origin_cdn::OriginCdn,
        otlp::Exporter,
        s3_store::{S3Encryption, S3Options, S3Store},
        sqs_queue::{SqsOptions, SqsQueue},
    },
    assembly::{Ports, assemble},
    config::{CdnKind, Encryption, QueueKind, Sandbox, Settings, StoreKind, TelemetrySettings, TranscoderKind},
    db,
    http::AppState,
    ports::{
        alert_channel::AlertChannel,
        blob_store::{BlobError, BlobStore},
        cdn::Cdn,
        job_queue::JobQueue,
        transcoder::Transcoder,
    },
    signing::SigningKeys,
    worker::Worker,
};
use tokio::sync::watch;

use crate::signing_key;

/// Why the product cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The data folder.
    #[error("cannot use the data folder {path} (setting `data_dir`): {source}")]
    DataFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database.
    #[error("cannot open the database (setting `database.url`): {0}")]
    Database(#[from] sea_orm::DbErr),
    /// The store.
    #[error("cannot open the store in the data folder: {0}")]
    Store(#[from] BlobError),
    /// An adapter on AWS beside a store and a queue that are not.
    #[error("an adapter on AWS is chosen without a store or queue there (settings `ports`)")]
    NoAws,
    /// The ways on which alerts go.
    #[error("{0}")]
    Alerts(String),
    /// CloudFront's private key.
    #[error("cannot read {path} (setting `cloudfront.private_key_file`): {source}")]
    PrivateKeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is in it.
    #[error("cannot sign with the key of `cloudfront.private_key_file` or `cloudfront.private_key`: {0}")]
    PrivateKey(#[from] KeyError),
}

/// The product, put together.
pub(crate) struct Product {
    /// What handlers reach.
    pub(crate) state: AppState,
    /// What works off jobs.
    pub(crate) worker: Worker,
    /// The database, for sessions.
    pub(crate) database: sea_orm::DatabaseConnection,
}

/// Makes the data folder, where it is missing, for this user alone: it holds password hashes, the signing key and private videos.
///
/// # Errors
/// It cannot be made.
pub(crate) fn make_data_dir(settings: &Settings) -> Result<(), StartError> {
    let path = settings.data_dir.clone();
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
    made.map_err(|source| StartError::DataFolder { path, source })
}

/// Opens the database and brings its schema up to date.
///
/// # Errors
/// It cannot be opened.
pub(crate) async fn open_database(settings: &Settings) -> Result<sea_orm::DatabaseConnection, StartError> {
    make_data_dir(settings)?;
    Ok(db::open(&settings.database, &settings.data_dir).await?)
}

/// Puts the product together.
///
/// # Errors
/// Something it needs is not there; the error says which setting is about it.
pub(crate) async fn compose(settings: Settings, shutdown: watch::Receiver<bool>) -> Result<Product, StartError> {
    let database = open_database(&settings).await?;
    let (ports, keys) = choose_ports(&settings, &database).await?;
    let channels = alert_channels(&settings).map_err(StartError::Alerts)?;
    let (mut reachable, worker) = assemble(settings, &database, ports, keys, shutdown);
    reachable.alerts = reachable.alerts.telling(channels);
    Ok(Product { state: reachable.into(), worker, database })
}

/// Makes the adapters that the settings choose, and the keys that sign grants.
///
/// # Errors
/// One of them cannot be made; the error says which setting is about it.
pub(crate) async fn choose_ports(settings: &Settings, database: &sea_orm::DatabaseConnection) -> Result<(Ports, SigningKeys), StartError> {
    let data_folder = |source| StartError::DataFolder { path: settings.data_dir.clone(), source };
    let keys = signing_key::load(settings).map_err(data_folder)?;
    let chosen = &settings.ports;
    let elsewhere = chosen.store == StoreKind::S3 || chosen.queue == QueueKind::Sqs;
    let aws = if elsewhere { Some(sdk_config(&settings.aws.region, &settings.aws.endpoint).await) } else { None };
    // Every adapter on AWS comes with the store or the queue there: the settings are checked for that when they are loaded.
    let aws = || aws.as_ref().ok_or(StartError::NoAws);

    let store: Arc<dyn BlobStore> = match chosen.store {
        StoreKind::Files => Arc::new(FsStore::open(settings.data_dir.join("store")).await?),
        StoreKind::S3 => Arc::new(S3Store::new(aws()?, s3_options(settings))),
    };
    let queue: Arc<dyn JobQueue> = match chosen.queue {
        QueueKind::Database => Arc::new(DbQueue::open(database)),
        QueueKind::Sqs => Arc::new(SqsQueue::new(aws()?, sqs_options(settings))),
    };
    let transcoder: Arc<dyn Transcoder> = match chosen.transcoder {
        TranscoderKind::Ffmpeg => Arc::new(FfmpegTranscoder::new(ffmpeg_settings(settings), Arc::clone(&store))),
        TranscoderKind::Mediaconvert => Arc::new(MediaConvertTranscoder::new(aws()?, mediaconvert_options(settings), Arc::clone(&store))),
    };
    let cdn: Arc<dyn Cdn> = match chosen.cdn {
        CdnKind::Origin => Arc::new(OriginCdn::new(settings.public_url.clone(), keys.clone())),
        CdnKind::Cloudfront => Arc::new(CloudFrontCdn::new(aws()?, cloudfront_options(settings)?)?),
    };
    tracing::info!(%store, ?chosen, "ports chosen");
    Ok((Ports { store, queue, transcoder, cdn }, keys))
}

/// The ways on which the operator is told, as the settings say.
///
/// # Errors
/// A sentence that names the setting which cannot be used.
pub(crate) fn alert_channels(settings: &Settings) -> Result<Vec<Arc<dyn AlertChannel>>, String> {
    let alerts = &settings.alerts;
    let mut channels: Vec<Arc<dyn AlertChannel>> = Vec::new();
    let smtp = alerts.smtp_url.expose_secret();
    if !smtp.is_empty() {
        channels.push(Arc::new(MailChannel::new(smtp, &alerts.from, &alerts.to)?));
    }
    let url = alerts.webhook_url.expose_secret();
    if !url.is_empty() {
        channels.push(Arc::new(WebhookChannel::new(url, alerts.webhook_secret.expose_secret(), alerts.webhook_private)?));
    }
    Ok(channels)
}

/// Sends traces while it is held.
pub(crate) type Traces = Exporter;

/// Sends traces from now on, where the settings say where to.
///
/// # Errors
/// They name no place that anything could be sent to.
pub(crate) fn traces(settings: &Settings, role: &'static str) -> Result<Option<Traces>, String> {
    let TelemetrySettings { otlp_endpoint, sample_percent } = &settings.telemetry;
    if otlp_endpoint.is_empty() {
        return Ok(None);
    }
    let exporter = Exporter::install(otlp_endpoint, *sample_percent, role);
    exporter.map(Some).map_err(|error| format!("cannot send traces (setting `telemetry.otlp_endpoint`): {error}"))
}

/// What the settings say about S3.
pub(crate) fn s3_options(settings: &Settings) -> S3Options {
    let s3 = &settings.s3;
    S3Options {
        input_bucket: s3.input_bucket.clone(),
        output_bucket: s3.output_bucket.clone(),
        endpoint: s3.endpoint.clone(),
        path_style: s3.path_style,
        encryption: match s3.encryption {
            Encryption::Bucket => S3Encryption::Bucket,
            Encryption::Aes256 => S3Encryption::Aes256,
            Encryption::Kms => S3Encryption::Kms(Some(s3.kms_key_id.clone()).filter(|id| !id.is_empty())),
        },
        presign_for: Duration::from_secs(s3.presign_minutes * 60),
    }
}

/// What the settings say about SQS.
pub(crate) fn sqs_options(settings: &Settings) -> SqsOptions {
    SqsOptions {
        queue_url: settings.sqs.queue_url.clone(),
        endpoint: settings.sqs.endpoint.clone(),
        visibility: Duration::from_secs(settings.sqs.visibility_seconds.into()),
        environment: settings.mediaconvert.environment.clone(),
    }
}

/// What the settings say about MediaConvert.
pub(crate) fn mediaconvert_options(settings: &Settings) -> MediaConvertOptions {
    let mediaconvert = &settings.mediaconvert;
    MediaConvertOptions {
        role_arn: mediaconvert.role_arn.clone(),
        queue_arn: mediaconvert.queue_arn.clone(),
        endpoint: mediaconvert.endpoint.clone(),
        environment: mediaconvert.environment.clone(),
        poll_every: Duration::from_secs(mediaconvert.poll_seconds),
        input_bucket: settings.s3.input_bucket.clone(),
        output_bucket: settings.s3.output_bucket.clone(),
        max_duration: Duration::from_secs(settings.transcode.max_duration_minutes * 60),
        max_pixels: settings.transcode.max_pixels,
    }
}

/// What the settings say about CloudFront.
///
/// # Errors
/// The private key's file cannot be read.
pub(crate) fn cloudfront_options(settings: &Settings) -> Result<CloudFrontOptions, StartError> {
    let cloudfront = &settings.cloudfront;
    let private_key_pem = if cloudfront.private_key_file.as_os_str().is_empty() {
        cloudfront.private_key.clone()
    } else {
        let path = cloudfront.private_key_file.clone();
        std::fs::read_to_string(&path).map_err(|source| StartError::PrivateKeyFile { path, source })?.into()
    };
    Ok(CloudFrontOptions {
        url: cloudfront.url.clone(),
        distribution_id: cloudfront.distribution_id.clone(),
        key_id: cloudfront.key_id.clone(),
        private_key_pem,
        endpoint: cloudfront.endpoint.clone(),
    })
}

/// Plays a part of the sandbox where the command line names one: before anything else in `main`.
pub(crate) fn sandbox_role() -> Option<ExitCode> {
    ffmpeg_transcoder::sandbox_role()
}

/// What the settings say about ffmpeg.
pub(crate) fn ffmpeg_settings(settings: &Settings) -> FfmpegSettings {
    let transcode = &settings.transcode;
    FfmpegSettings {
        ffmpeg: transcode.ffmpeg.clone(),
        ffprobe: transcode.ffprobe.clone(),
        scratch: transcode.scratch_dir.clone(),
        // Without a path of its own it finds nothing to stand in front of ffmpeg, and says so.
        helper: std::env::current_exe().unwrap_or_default(),
        sandbox: match transcode.sandbox {
            Sandbox::Auto => SandboxMode::Auto,
            Sandbox::Bubblewrap => SandboxMode::Bubblewrap,
            Sandbox::Landlock => SandboxMode::Landlock,
            Sandbox::Off => SandboxMode::Off,
        },
        limits: Limits {
            max_pixels: transcode.max_pixels,
            max_duration: Duration::from_secs(transcode.max_duration_minutes * 60),
            memory_bytes: transcode.memory_mib * 1024 * 1024,
            threads: threads_per_job(transcode.jobs),
            ..Limits::default()
        },
    }
}

/// The cores, shared among the videos worked on at once.
fn threads_per_job(jobs: usize) -> u32 {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    u32::try_from(cores / jobs.max(1)).unwrap_or(16).clamp(1, 16)
}
