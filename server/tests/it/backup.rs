//! A backup made while uploads go on, and a data folder out of it that plays.

use std::path::Path;

use axum::http::StatusCode;
use sea_orm::{ActiveValue::Set, DbBackend, EntityTrait, PaginatorTrait};
use server::{
    clock::now_ms,
    db::entity::{holds, removals},
    services::{
        backup::{Backup, BackupError, restore, verify},
        removals::{LONGEST_HOLD_MS, Removal},
        store_audit::AuditOptions,
    },
};
use uuid::Uuid;

use crate::app::{App, Somebody, files_below};

const CLIP: &[u8] = include_bytes!("../../../src/doctor/clip.mp4");

fn backup_of(app: &App) -> Backup {
    Backup { db: app.db.clone(), store: app.state.store.clone(), data_dir: app.folder.path().to_path_buf() }
}

async fn a_video(app: &mut App, who: &Somebody) -> String {
    let video = app.upload(who, "clip.mp4", CLIP).await;
    app.work();
    assert_eq!(app.settled(who, &video).await["status"], "done");
    video
}

#[tokio::test]
async fn a_restored_folder_has_everything_and_plays() {
    let mut app = App::start().await;
    if app.db.get_database_backend() != DbBackend::Sqlite {
        return;
    }
    let ada = app.somebody("ada@example.com").await;
    let video = a_video(&mut app, &ada).await;
    let ticket = app.begin(&ada, "on its way.mp4", 20_000_000).await;
    let first = vec![7; 8 * 1024 * 1024];
    app.put_part(&ada, &ticket, 1, crc32c::crc32c(&first), first).await;
    std::fs::write(app.folder.path().join("signing.key"), b"a key").expect("written");

    let folder = tempfile::tempdir().expect("a folder");
    let kept = folder.path().join("kept");
    let made = backup_of(&app).make(&kept).await.expect("a backup");
    assert!(made.missing.is_empty() && made.copied == made.files && made.files > 5, "{made:?}");
    let again = backup_of(&app).make(&kept).await.expect("a backup");
    assert_eq!((again.files, again.copied), (made.files, 2), "only the database and the key are copied anew");
    assert_eq!(verify(&kept).await.expect("whole").files, made.files);
    assert_eq!(holds::Entity::find().count(&app.db).await.expect("counted"), 0);
    let databases = files_below(&kept).into_iter().filter(|file| file.ends_with(".db")).count();
    assert_eq!(databases, 1, "the one before is gone");

    let target = folder.path().join("restored");
    std::fs::create_dir(&target).expect("made");
    restore(&kept, &target).await.expect("restored");
    assert_eq!(std::fs::read(target.join("signing.key")).expect("there"), b"a key");
    let url = format!("sqlite://{}?mode=rwc", target.join("millrace.db").display());
    let restored = App::with(&[("MILLRACE_DATA_DIR", target.to_str().expect("a plain path")), ("MILLRACE_DATABASE_URL", &url)]).await;
    assert_eq!(restored.status(&ada, &video).await["status"], "done");
    assert_eq!(restored.get(Some(&ada), &format!("/api/stream?videoId={video}")).await.status, StatusCode::OK);
    let options = AuditOptions { deep: true, ..AuditOptions::default() };
    let report = restored.store_audit().run(options, &|_| ()).await.expect("looked through");
    assert!(report.clean() && report.checked.videos == 1, "{report:?}");
    assert!(matches!(restore(&kept, &target).await, Err(BackupError::Refused(_))), "nothing is written over");
}

#[tokio::test]
async fn a_damaged_backup_is_not_restored_and_leaves_nothing() {
    let app = App::start().await;
    if app.db.get_database_backend() != DbBackend::Sqlite {
        return;
    }
    let ada = app.somebody("ada@example.com").await;
    app.upload(&ada, "clip.mp4", CLIP).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (kept, target) = (folder.path().join("kept"), folder.path().join("restored"));
    backup_of(&app).make(&kept).await.expect("a backup");
    let sources = kept.join("store/sources");
    let source = sources.join(&files_below(&sources)[0]);
    let mut bytes = std::fs::read(&source).expect("there");
    bytes[100] ^= 1;
    std::fs::write(&source, bytes).expect("written");
    assert!(matches!(verify(&kept).await, Err(BackupError::Damaged(_))));
    std::fs::create_dir(&target).expect("made");
    assert!(matches!(restore(&kept, &target).await, Err(BackupError::Damaged(_))));
    assert!(files_below(&target).is_empty());
    // Nor is anything taken for a backup that is none, or put where it would be lost with the rest.
    let refused = |folder: &Path| {
        let (backup, folder) = (backup_of(&app), folder.to_path_buf());
        async move { matches!(backup.make(&folder).await, Err(BackupError::Refused(_))) }
    };
    assert!(refused(&app.folder.path().join("backup")).await);
    std::fs::write(folder.path().join("letter.txt"), b"mine").expect("written");
    assert!(refused(folder.path()).await);
}

#[tokio::test]
async fn nothing_is_removed_while_somebody_copies_it() {
    let app = App::start().await;
    let hold = |until_ms| holds::ActiveModel { id: Set(Uuid::now_v7()), until_ms: Set(until_ms) };
    for row in [hold(now_ms() + 60_000), hold(now_ms() + 2 * LONGEST_HOLD_MS), hold(now_ms() - 1)] {
        holds::Entity::insert(row).exec_without_returning(&app.db).await.expect("written");
    }
    Removal::Source(Uuid::now_v7().into()).note(&app.db).await.expect("noted");
    app.removals().work_off().await.expect("worked off");
    assert_eq!(removals::Entity::find().count(&app.db).await.expect("counted"), 1);
    use sea_orm::{ColumnTrait, QueryFilter};
    let standing = holds::Column::UntilMs.between(now_ms(), now_ms() + LONGEST_HOLD_MS);
    holds::Entity::delete_many().filter(standing).exec(&app.db).await.expect("let go");
    app.removals().work_off().await.expect("worked off");
    assert_eq!(removals::Entity::find().count(&app.db).await.expect("counted"), 0, "holds of a wrong clock and past ones hold nothing");
}
