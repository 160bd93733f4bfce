//! Rows and store held against each other: what is missing is told, what nobody names is removed once it is old, and what others are at is left alone.

use std::collections::BTreeSet;

use domain::{
    ids::{GenerationId, UploadId},
    storage_key::StorageKey,
    store_audit::{AuditReport, FindingKind},
};
use sea_orm::EntityTrait;
use server::{
    db::entity::{jobs, videos},
    services::store_audit::{AuditOptions, StoreAudit},
};
use uuid::Uuid;

use crate::app::{App, files_below};

const CLIP: &[u8] = include_bytes!("../../../src/doctor/clip.mp4");
const DAY_MS: i64 = 24 * 3_600_000;

async fn run(audit: &StoreAudit, deep: bool, repair: bool, grace_ms: i64) -> AuditReport {
    audit.run(AuditOptions { deep, repair, grace_ms, after: None }, &|_| ()).await.expect("looked through")
}

fn kinds(report: &AuditReport) -> BTreeSet<String> {
    report.findings.iter().map(|finding| format!("{:?}", finding.kind)).collect()
}

#[tokio::test]
async fn what_is_missing_is_told_and_what_nobody_names_goes_when_it_is_old() {
    let mut app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let audit = app.store_audit();
    let video = app.upload(&ada, "clip.mp4", CLIP).await;
    app.begin(&ada, "on its way.mp4", 5_000).await;
    let worker = app.work();
    assert_eq!(app.settled(&ada, &video).await["status"], "done");
    app.shut_down();
    worker.await.expect("the worker ends");
    let store = app.folder.path().join("store");

    let clean = run(&audit, true, false, 0).await;
    assert!(clean.clean(), "{clean:?}");
    assert_eq!((clean.checked.videos, clean.checked.unfinished), (2, 1));
    assert!(clean.checked.probed >= 2, "the source and a picture: {clean:?}");
    let published: u64 = files_below(&store.join("published"))
        .iter()
        .map(|file| std::fs::metadata(store.join("published").join(file)).expect("there").len())
        .sum();
    assert_eq!(app.state.storage.used(ada.user).await.expect("asked").own.renditions, published);

    let (orphan, source) = (GenerationId(Uuid::now_v7()), UploadId(Uuid::now_v7()));
    let add = |path: &str| {
        let file = store.join(path);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        std::fs::write(file, b"something").expect("written");
    };
    add(&format!("{}720p/00000.m4s", StorageKey::generation_prefix(orphan)));
    add(&StorageKey::Source { upload: source }.to_string());
    add(&format!("incoming/{}-0123456789abcdef/data", UploadId(Uuid::now_v7())));
    add("sources/notes.txt");
    let segment =
        files_below(&store.join("published")).into_iter().find(|file| file.ends_with(".m4s") && !file.starts_with(&orphan.to_string()));
    std::fs::remove_file(store.join("published").join(segment.expect("a segment"))).expect("removed");

    let young = run(&audit, false, true, DAY_MS).await;
    assert_eq!(kinds(&young), ["ObjectMissing".to_owned()].into(), "what is young is nobody's business: {young:?}");
    let told = run(&audit, false, false, 0).await;
    let all = ["ObjectMissing", "GenerationOrphan", "SourceOrphan", "UploadOrphan", "Foreign"].map(str::to_owned);
    assert_eq!(kinds(&told), all.clone().into());
    assert!(store.join(format!("sources/{source}")).exists(), "nothing is removed that nobody asked to be");
    let repaired = run(&audit, false, true, 0).await;
    assert_eq!(kinds(&repaired), all.into());
    assert!(repaired.findings.iter().all(|finding| finding.repaired == finding.kind.advice().contains("--repair")), "{repaired:?}");
    assert!(!repaired.clean());
    let left = run(&audit, false, true, 0).await;
    assert_eq!(kinds(&left), ["ObjectMissing", "Foreign"].map(str::to_owned).into());
    assert_eq!(audit.last().await.expect("asked").expect("remembered").report, left);
    assert_eq!(files_below(&store.join("incoming")).len(), 2, "the upload that has a row is untouched");
}

#[tokio::test]
async fn rows_that_lead_nowhere_are_told() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let audit = app.store_audit();
    let waiting = app.upload(&ada, "clip.mp4", CLIP).await;
    let ticket = app.begin(&ada, "on its way.mp4", 5_000).await;
    let store = app.folder.path().join("store");
    assert!(run(&audit, false, true, 0).await.clean());
    jobs::Entity::delete_many().exec(&app.db).await.expect("deleted");
    std::fs::remove_dir_all(store.join("incoming")).expect("removed");
    std::fs::create_dir(store.join("incoming")).expect("made");
    std::fs::write(store.join("sources").join(source_of(&app, &waiting).await), b"short").expect("written");
    let report = run(&audit, true, true, 0).await;
    let found: BTreeSet<_> =
        report.findings.iter().map(|finding| (finding.kind.advice(), finding.video.map(|video| video.to_string()))).collect();
    let expected = [
        (FindingKind::JobMissing.advice(), Some(waiting.clone())),
        (FindingKind::SourceSize.advice(), Some(waiting)),
        (FindingKind::PartsMissing.advice(), Some(ticket.video_id.to_string())),
    ];
    assert_eq!(found, expected.into(), "{report:?}");
}

async fn source_of(app: &App, video: &str) -> String {
    let row = videos::Entity::find_by_id(video.parse::<Uuid>().expect("an id")).one(&app.db).await.expect("asked").expect("a video");
    row.s3_input_url.expect("a source").rsplit('/').next().expect("a name").to_owned()
}
