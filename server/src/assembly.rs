//! Puts the services together over whatever adapters were chosen. The binary and the tests both build on this, so that what is tested is
//! what runs.

use std::sync::Arc;

use sea_orm::DatabaseConnection;
use tokio::sync::watch;

use crate::{
    config::Settings,
    http::{AppState, rate_limits::RateLimits},
    ports::{blob_store::BlobStore, cdn::Cdn, job_queue::JobQueue, transcoder::Transcoder},
    process_name::ProcessName,
    services::{
        accounts::Accounts,
        api_keys::ApiKeys,
        audit_log::AuditLog,
        changes::Changes,
        embed_hosts::EmbedRules,
        grants::Grants,
        invites::Invites,
        jobs::Jobs,
        playback::{Lifetimes, Playbacks},
        private_media::PrivateMedia,
        removals::Removals,
        sessions::Sessions,
        sources::Sources,
        transcodes::Transcodes,
        uploads::{UploadLimits, Uploads},
        users::Users,
        videos::Videos,
    },
    signing::SigningKeys,
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
) -> (AppState, Worker) {
    let Ports { store, queue, transcoder, cdn } = ports;
    let db = || database.clone();
    let changes = Changes::default();
    let private_media = PrivateMedia::default();
    let removals = Removals::new(db(), Arc::clone(&store), Arc::clone(&transcoder), Arc::clone(&cdn));
    let videos = Videos::new(db(), Arc::clone(&cdn), Arc::clone(&queue), changes.clone(), removals.clone(), private_media.clone());
    let limits = UploadLimits {
        max_size: settings.upload.max_size_bytes,
        unfinished_days: settings.upload.unfinished_days,
        quota: settings.upload.quota_bytes,
        max_unfinished: settings.upload.max_unfinished,
    };
    let uploads = Uploads::new(db(), Arc::clone(&store), Arc::clone(&queue), changes.clone(), videos.clone(), limits);
    let jobs = Jobs::new(db(), ProcessName::own());
    let transcodes = Transcodes::new(db(), Arc::clone(&store), Arc::clone(&transcoder), jobs.clone(), removals.clone(), changes.clone());
    let lifetimes = Lifetimes { renewed: settings.playback.renewal_seconds, margin: settings.playback.link_lifetime_minutes * 60 };
    let grants = Grants::new(db(), keys.clone(), private_media.clone(), settings.public_url.clone());
    let embed_rules = EmbedRules::new(db(), grants.clone());
    let playback = Playbacks::new(db(), Arc::clone(&cdn), keys, grants.clone(), settings.public_url.clone(), lifetimes);
    let sources = Sources::new(db(), settings.upload.source_retention_days);
    let users = Users::new(db(), videos.clone());
    let invites = Invites::new(db(), settings.registration, settings.public_url.clone());
    let audit_log = AuditLog::new(db());
    let tidying = Tidying {
        removals,
        uploads: uploads.clone(),
        sources,
        users: users.clone(),
        invites: invites.clone(),
        audit_log: audit_log.clone(),
    };
    let worker = Worker { queue, transcoder, jobs, transcodes, tidying, slots: settings.transcode.jobs };
    let accounts = Accounts::new(db(), settings.registration);
    let state = AppState {
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
        rate_limits: RateLimits::new(&settings.http),
        settings: Arc::new(settings),
        store,
        private_media,
        cdn,
        shutdown,
    };
    (state, worker)
}
