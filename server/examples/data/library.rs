//! Pages and searches of the account with most videos, and of another one beside it.

use std::sync::Arc;

use domain::ids::{UserId, VideoId};
use sea_orm::{
    DatabaseConnection, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LikeExpr},
};
use server::{
    adapters::{
        db_queue::DbQueue,
        ffmpeg_transcoder::{FfmpegSettings, FfmpegTranscoder, Limits, SandboxMode},
        fs_store::FsStore,
        origin_cdn::OriginCdn,
    },
    db::entity::videos,
    delivery::media_cache::MediaCache,
    services::{changes::Changes, packages::Packages, private_media::PrivateMedia, removals::Removals, videos::Videos},
};
use uuid::Uuid;

use crate::{
    Outcome, Plan,
    figures::{Report, Times},
};

/// Videos on a page of the dashboard.
const PAGE: u64 = 24;

pub(crate) async fn measure(db: &DatabaseConnection, plan: &Plan, accounts: &[Uuid], report: &mut Report) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let service = service(db, folder.path()).await?;
    pages(db, &service, plan, accounts, report).await?;
    searches(db, &service, plan, accounts, report).await
}

/// The service as the product has it. Nothing is removed or encoded here.
async fn service(db: &DatabaseConnection, folder: &std::path::Path) -> Outcome<Videos> {
    let store = Arc::new(FsStore::open(folder.join("store")).await?);
    let ffmpeg = FfmpegSettings {
        ffmpeg: "ffmpeg".into(),
        ffprobe: "ffprobe".into(),
        scratch: folder.join("scratch"),
        helper: std::env::current_exe()?,
        sandbox: SandboxMode::Off,
        limits: Limits::default(),
    };
    let transcoder = Arc::new(FfmpegTranscoder::new(ffmpeg, store.clone()));
    let cdn = Arc::new(OriginCdn::new("http://127.0.0.1".to_owned(), b"a key for a benchmark".to_vec().into()));
    let packages = Packages::new(db.clone(), store.clone(), Changes::default(), false);
    let removals = Removals::new(db.clone(), store, transcoder, cdn.clone(), MediaCache::new(0), packages);
    Ok(Videos::new(db.clone(), cdn, Arc::new(DbQueue::open(db)), Changes::default(), removals, PrivateMedia::default()))
}

/// Pages by key, in turns with pages by counting.
async fn pages(db: &DatabaseConnection, service: &Videos, plan: &Plan, accounts: &[Uuid], report: &mut Report) -> Outcome<()> {
    let deep = u64::from(plan.big) / PAGE * 24 / 25;
    let (big, other) = (accounts[0], accounts[1]);
    let counted = |user: Uuid, page: u64| videos::Entity::of(user).order_by_desc(videos::Column::Id).offset(page * PAGE).limit(PAGE);
    let before = counted(big, deep).limit(1).one(db).await?.map(|row| VideoId(row.id));
    let [mut first, mut far, mut others, mut counted_first, mut counted_far] =
        [const { Vec::new() }; 5].map(|_: Vec<f64>| Times::default());
    for round in 0..plan.rounds.0 {
        first.of(service.page(UserId(big), None, None, PAGE)).await?;
        far.of(service.page(UserId(big), None, before, PAGE)).await?;
        others.of(service.page(UserId(other), None, None, PAGE)).await?;
        counted_first.of(counted(big, 0).all(db)).await?;
        if round % (plan.rounds.0 / plan.rounds.1) == 0 {
            counted_far.of(counted(big, deep).all(db)).await?;
        }
    }
    report.add(format!("page {deep} of {} videos", plan.big), far.clone(), "page 1, the same way", first.clone());
    report.add(format!("page {deep}"), far, "OFFSET", counted_far);
    report.add("page 1", first, "OFFSET, rows alone", counted_first.clone());
    report.add(format!("page 1 of an account of {}", plan.others.1), others, "OFFSET, rows alone", counted_first);
    Ok(())
}

/// What is searched for: what it is, and the text.
fn asked(plan: &Plan) -> Vec<(String, String)> {
    vec![
        ("in many titles".to_owned(), "harbour".to_owned()),
        ("in all titles".to_owned(), "video".to_owned()),
        ("in one, near the oldest".to_owned(), format!("video {}", plan.big / 10 - 1)),
        ("in some, two words".to_owned(), "winter concert video 77".to_owned()),
        ("in none".to_owned(), "zeppelin".to_owned()),
        ("in none, one letter".to_owned(), "ж".to_owned()),
    ]
}

/// Searches by index, in turns with comparing title by title, as it was done before there was one.
async fn searches(db: &DatabaseConnection, service: &Videos, plan: &Plan, accounts: &[Uuid], report: &mut Report) -> Outcome<()> {
    for (whose, user) in [("", accounts[0]), (", another account", accounts[1])] {
        for (what, text) in asked(plan) {
            let (mut ours, mut theirs) = (Times::default(), Times::default());
            let title = || Expr::col(videos::Column::TitleFolded).like(LikeExpr::new(format!("%{text}%")).escape('\\'));
            for round in 0..plan.rounds.0 / 10 {
                let found = ours.of(service.page(UserId(user), Some(&text), None, PAGE)).await?;
                if round % (plan.rounds.0 / 10 / plan.rounds.1) == 0 {
                    let query = videos::Entity::of(user).filter(title()).order_by_desc(videos::Column::Id).limit(PAGE);
                    let same = theirs.of(query.all(db)).await?;
                    if same.iter().map(|row| VideoId(row.id)).ne(found.videos.iter().map(|video| video.id)) {
                        return Err(format!("the search for {text} finds something else than LIKE").into());
                    }
                }
            }
            report.add(format!("search: {what}{whose}"), ours, "LIKE", theirs);
        }
    }
    Ok(())
}
