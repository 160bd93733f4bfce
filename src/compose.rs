//! From settings to a running product: opens the database and chooses the adapters. The only place that names them.

use std::{os::unix::fs::DirBuilderExt, path::PathBuf, sync::Arc, time::Duration};

use server::{
    adapters::{
        db_queue::DbQueue,
        ffmpeg_transcoder::{FfmpegSettings, FfmpegTranscoder, Limits, SandboxMode},
        fs_store::FsStore,
        origin_cdn::OriginCdn,
    },
    assembly::{Ports, assemble},
    config::{Sandbox, Settings},
    db,
    http::AppState,
    ports::{blob_store::BlobError, transcoder::TranscodeError},
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
    /// The transcoder.
    #[error("cannot process videos here: {0}")]
    Transcoder(#[from] TranscodeError),
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
    Ok(db::open(&settings.database.url, &settings.data_dir, settings.database.max_connections).await?)
}

/// Puts the product together.
///
/// # Errors
/// Something it needs is not there; the error says which setting is about it.
pub(crate) async fn compose(settings: Settings, shutdown: watch::Receiver<bool>) -> Result<Product, StartError> {
    let database = open_database(&settings).await?;
    let data_folder = |source| StartError::DataFolder { path: settings.data_dir.clone(), source };
    let key = signing_key::load_or_create(&settings.data_dir).map_err(data_folder)?;

    let store = Arc::new(FsStore::open(settings.data_dir.join("store")).await?);
    tracing::info!(store = %store, "store opened");
    let ports = Ports {
        queue: Arc::new(DbQueue::default()),
        transcoder: Arc::new(FfmpegTranscoder::new(ffmpeg_settings(&settings), store.clone())),
        cdn: Arc::new(OriginCdn::new(settings.public_url.clone(), key.clone())),
        store,
    };
    let (state, worker) = assemble(settings, &database, ports, key, shutdown);
    Ok(Product { state, worker, database })
}

/// What the settings say about ffmpeg.
pub(crate) fn ffmpeg_settings(settings: &Settings) -> FfmpegSettings {
    let transcode = &settings.transcode;
    FfmpegSettings {
        ffmpeg: transcode.ffmpeg.clone(),
        ffprobe: transcode.ffprobe.clone(),
        scratch: transcode.scratch_dir.clone(),
        sandbox: match transcode.sandbox {
            Sandbox::Auto => SandboxMode::Auto,
            Sandbox::Bubblewrap => SandboxMode::Bubblewrap,
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
