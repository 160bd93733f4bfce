//! From settings to a running product: opens the database, chooses the adapters, builds the services. The only place that names
//! adapters.

use std::{os::unix::fs::DirBuilderExt, path::PathBuf, sync::Arc, time::Duration};

use server::{
    adapters::{
        db_queue::DbQueue,
        ffmpeg_transcoder::{FfmpegSettings, FfmpegTranscoder, Limits, SandboxMode},
        fs_store::FsStore,
        origin_cdn::OriginCdn,
    },
    config::{Sandbox, Settings},
    db,
    http::AppState,
    ports::{
        blob_store::{BlobError, BlobStore},
        cdn::Cdn,
        job_queue::JobQueue,
        transcoder::{TranscodeError, Transcoder},
    },
    services::{
        accounts::Accounts,
        api_keys::ApiKeys,
        changes::Changes,
        jobs::Jobs,
        playback::Playbacks,
        removals::Removals,
        transcodes::Transcodes,
        uploads::{UploadLimits, Uploads},
        videos::Videos,
    },
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
fn make_data_dir(settings: &Settings) -> Result<(), StartError> {
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

    let store: Arc<dyn BlobStore> = Arc::new(FsStore::open(settings.data_dir.join("store")).await?);
    let queue: Arc<dyn JobQueue> = Arc::new(DbQueue::default());
    let cdn: Arc<dyn Cdn> = Arc::new(OriginCdn::new(settings.public_url.clone(), key.clone()));
    let transcoder: Arc<dyn Transcoder> = Arc::new(FfmpegTranscoder::new(ffmpeg_settings(&settings), Arc::clone(&store)));
    tracing::info!(store = %store, "store opened");

    let changes = Changes::default();
    let removals = Removals::new(database.clone(), Arc::clone(&store));
    let videos = Videos::new(database.clone(), Arc::clone(&cdn), Arc::clone(&queue), changes.clone(), removals.clone());
    let limits = UploadLimits { max_size: settings.upload.max_size_bytes, unfinished_days: settings.upload.unfinished_days };
    let uploads = Uploads::new(database.clone(), Arc::clone(&store), Arc::clone(&queue), changes.clone(), videos.clone(), limits);
    let jobs = Jobs::new(database.clone(), format!("{}-{}", std::process::id(), rand::random::<u32>()));
    let transcodes =
        Transcodes::new(database.clone(), Arc::clone(&store), transcoder, jobs.clone(), removals.clone(), changes.clone());
    let lifetime = settings.playback.link_lifetime_minutes * 60;
    let playback = Playbacks::new(database.clone(), Arc::clone(&cdn), key, settings.public_url.clone(), lifetime);
    let worker = Worker { queue, jobs, transcodes, removals, uploads: uploads.clone(), slots: settings.transcode.jobs };
    let state = AppState {
        accounts: Accounts::new(database.clone(), settings.registration),
        api_keys: ApiKeys::new(database.clone()),
        videos,
        uploads,
        playback,
        changes,
        settings: Arc::new(settings),
        store,
        cdn,
        shutdown,
    };
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
            ..Limits::default()
        },
    }
}
