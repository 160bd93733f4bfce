//! Puts the services together over whatever adapters were chosen. The binary and the tests both build on this, so that what is tested is
//! what runs.

use std::sync::Arc;

use sea_orm::DatabaseConnection;
use secrecy::ExposeSecret;
use tokio::sync::watch;

use crate::{
    config::{CdnKind, Settings},
    delivery::{Delivery, media_cache::MediaCache},
    http::{Reachable, metrics::Metrics, rate_limits::RateLimits},
    ports::{blob_store::BlobStore, cdn::Cdn, job_queue::JobQueue, transcoder::Transcoder},
    process_name::ProcessName,
    services::{
        accounts::Accounts,
        alerts::{Alerts, Limits},
        api_keys::ApiKeys,
        audit_log::AuditLog,
        backlog::Backlogs,
        changes::Changes,
        database_watch::DatabaseWatch,
        embed_hosts::EmbedRules,
        grants::Grants,
        invites::Invites,
        jobs::Jobs,
        packages::Packages,
        playback::{self, Lifetimes, Playbacks, Sight},
        private_media::PrivateMedia,
        readiness::Readiness,
        removals::Removals,
        sessions::Sessions,
        sources::Sources,
        storage::{Storage, StorageLimits},
        store_audit::StoreAudit,
        transcodes::{Transcodes, Viewers},
        uploads::{Next, UploadLimits, Uploads},
        users::Users,
        videos::Videos,
        vitals::Vitals,
    },
    signing::SigningKeys,
    telemetry::{metrics, process},
    worker::{Tidying, Worker},
};

/// The adapters that were chosen.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Where bytes live.
    pub store: Arc<dyn BlobStore>,
    /// How workers hear of jobs.
    pub queue: Arc<dyn JobQueue>,
    /// What makes renditions.
    pub transcoder: Arc<dyn Transcoder>,
    /// Who delivers.
    pub cdn: Arc<dyn Cdn>,
}

/// What handlers reach, and what works off jobs. `keys` sign grants.
pub fn assemble(
    settings: Settings,
    database: &DatabaseConnection,
    ports: Ports,
    keys: SigningKeys,
    shutdown: watch::Receiver<bool>,
) -> (Reachable, Worker) {
    let Ports { store, queue, transcoder, cdn } = ports;
    let db = || database.clone();
    let changes = Changes::default();
    let private_media = PrivateMedia::default();
    let database_watch = DatabaseWatch::default();
    let packages = Packages::new(db(), Arc::clone(&store), changes.clone(), delivers_packages(&settings));
    let media = MediaCache::new(settings.delivery.cache_mb.saturating_mul(1_000_000));
    let removals = Removals::new(db(), Arc::clone(&store), Arc::clone(&transcoder), Arc::clone(&cdn), media.clone(), packages.clone());
    let videos = Videos::new(db(), Arc::clone(&cdn), Arc::clone(&queue), changes.clone(), removals.clone(), private_media.clone());
    let limits = UploadLimits {
        max_size: settings.upload.max_size_bytes,
        unfinished_days: settings.upload.unfinished_days,
        quota: settings.upload.quota_bytes,
        max_unfinished: settings.upload.max_unfinished,
    };
    let store_audit = StoreAudit::new(db(), Arc::clone(&store), Arc::clone(&transcoder), settings.storage.orphan_grace_hours);
    let room = StorageLimits {
        min_free: settings.storage.min_free_bytes,
        quota: settings.upload.quota_bytes,
        data_dir: settings.data_dir.clone(),
        scratch_dir: settings.transcode.scratch_dir.clone(),
    };
    let storage = Storage::new(db(), Arc::clone(&store), store_audit.clone(), room);
    let next = Next { queue: Arc::clone(&queue), packages: packages.clone() };
    let uploads = Uploads::new(db(), Arc::clone(&store), next, changes.clone(), videos.clone(), storage.clone(), limits);
    let jobs = Jobs::new(db(), ProcessName::own());
    let transcodes = Transcodes::new(
        db(),
        Arc::clone(&store),
        Arc::clone(&transcoder),
        jobs.clone(),
        removals.clone(),
        storage.clone(),
        Viewers { changes: changes.clone(), packages: packages.clone() },
    );
    let lifetimes = Lifetimes { renewed: settings.playback.renewal_seconds, margin: settings.playback.link_lifetime_minutes * 60 };
    let grants = Grants::new(db(), keys.clone(), private_media.clone(), settings.public_url.clone());
    let embed_rules = EmbedRules::new(db(), grants.clone());
    let sight = Sight { database: database_watch.clone(), private_media: private_media.clone() };
    let delivery = playback::Delivery { cdn: Arc::clone(&cdn), packages: packages.clone() };
    let playback = Playbacks::new(db(), delivery, keys, grants.clone(), settings.public_url.clone(), lifetimes, sight);
    let sources = Sources::new(db(), settings.upload.source_retention_days);
    let users = Users::new(db(), videos.clone());
    let backlogs = Backlogs::new(db(), videos.clone());
    let invites = Invites::new(db(), settings.registration, settings.public_url.clone());
    let audit_log = AuditLog::new(db());
    let tidying = Tidying {
        removals,
        uploads: uploads.clone(),
        sources,
        users: users.clone(),
        invites: invites.clone(),
        audit_log: audit_log.clone(),
        store_audit,
        transcoder: Arc::clone(&transcoder),
    };
    let here = settings.transcode.in_serve.then(|| Arc::clone(&transcoder));
    let readiness = Readiness::new(db(), Arc::clone(&store), here, shutdown.clone());
    let vitals = Vitals::new(db(), settings.data_dir.clone(), settings.transcode.scratch_dir.clone());
    let numbers = settings
        .metrics
        .wanted()
        .then(metrics::install)
        .and_then(|counting| counting.inspect_err(|error| tracing::warn!(%error, "nothing is counted for Prometheus")).ok());
    let metrics = Metrics::new(numbers, vitals.clone(), media.clone(), settings.metrics.token.clone());
    let alerts = Alerts::new(db(), vitals, Limits::of(&settings.alerts), settings.public_url.clone(), process::machine());
    let worker = Worker { queue, transcoder, jobs, transcodes, tidying, slots: settings.transcode.jobs };
    let accounts = Accounts::new(db(), settings.registration);
    let reachable = Reachable {
        accounts,
        api_keys: ApiKeys::new(db()),
        sessions: Sessions::new(db()),
        users,
        invites,
        audit_log,
        videos,
        uploads,
        playback,
        grants,
        embed_rules,
        changes,
        backlogs,
        database: database_watch,
        rate_limits: RateLimits::new(&settings.http),
        settings: Arc::new(settings),
        delivery: Delivery::new(Arc::clone(&store), packages, media),
        store,
        storage,
        private_media,
        cdn,
        readiness,
        metrics,
        alerts,
        shutdown,
    };
    (reachable, worker)
}

/// Whether what is made on request can be delivered: a distribution asks us for it by a secret that only it knows, or not at all.
fn delivers_packages(settings: &Settings) -> bool {
    settings.ports.cdn != CdnKind::Cloudfront || !settings.cloudfront.origin_secret.expose_secret().is_empty()
}
