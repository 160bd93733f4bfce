//! Sources that are their own top rendition: nothing of them is stored a second time, what is encoded beside them fits to them, and they stay
//! as long as their video.

use std::{collections::BTreeSet, path::Path, process::Command};

use axum::http::StatusCode;
use domain::{audit::AuditKind, ids::GenerationId, playlist::Rendition, storage_key::StorageKey, store_audit::AuditReport};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use server::{
    clock::now_ms,
    db::entity::videos,
    services::{
        audit_log::Act,
        sources::Sources,
        store_audit::{AuditOptions, StoreAudit},
        videos::published,
    },
};
use uuid::Uuid;

use crate::{
    app::{App, Somebody, files_below},
    packages::{anonymous, playlists, row},
    workshop::eventually,
};

const CARS: &[u8] = include_bytes!("../media/car-detection.mp4");

/// A clip that ffmpeg makes; `arguments` are separated by spaces.
fn clip(app: &App, arguments: &str) -> Vec<u8> {
    let path = app.folder.path().join(format!("{}.mp4", Uuid::now_v7()));
    let mut ffmpeg = Command::new(&app.state.settings.transcode.ffmpeg);
    let made = ffmpeg.args(["-v", "error", "-nostdin", "-y"]).args(arguments.split_whitespace()).arg(&path).output().expect("ffmpeg runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::read(path).expect("a clip")
}

/// What was published of a video, and in which generation.
async fn ladder(app: &App, video: &str) -> (GenerationId, Vec<Rendition>) {
    let generation = GenerationId(row(app, video).await.generation_id.expect("it is published"));
    (generation, published(&app.db, generation).await.expect("read"))
}

/// The first parts of the names of what is stored for a generation: renditions, and files beside them.
fn stored(app: &App, generation: GenerationId) -> BTreeSet<String> {
    let folder = app.folder.path().join("store").join(StorageKey::generation_prefix(generation));
    files_below(&folder).iter().filter_map(|file| file.split('/').next()).map(str::to_owned).collect()
}

fn boundaries(rendition: &Rendition) -> Vec<u64> {
    let mut end_us = 0;
    let ends = rendition.playlist.segments.iter().map(|segment| {
        end_us += segment.duration_us;
        end_us
    });
    ends.collect()
}

/// When a player shows each frame of a file, in milliseconds, and whether decoding can begin there.
fn frames(app: &App, file: &Path) -> Vec<(i64, bool)> {
    let mut probe = Command::new(&app.state.settings.transcode.ffprobe);
    probe.args(["-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0"]).arg(file);
    let answer = probe.output().expect("ffprobe runs");
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let read = |line: &str| {
        let (time, flags) = line.split_once(',').expect("two columns");
        ((time.parse::<f64>().expect("a time") * 1_000.0).round() as i64, flags.starts_with('K'))
    };
    let mut frames: Vec<_> = text.lines().map(read).collect();
    frames.sort_unstable();
    frames
}

/// Fetches all files of all playlists: each is there. The pictures as files, by the names of their playlists.
async fn fetched(app: &App, who: &Somebody, video: &str) -> Vec<(String, std::path::PathBuf)> {
    let mut files = Vec::new();
    for (name, addresses) in playlists(app, who, video).await {
        let mut bytes = Vec::new();
        for address in addresses {
            let answer = anonymous(app, &address).await;
            assert_eq!(answer.status, StatusCode::OK, "{address}");
            bytes.extend(answer.body);
        }
        let path = app.folder.path().join(name.replace('/', "-"));
        std::fs::write(&path, bytes).expect("written");
        if !name.ends_with("audio.m3u8") {
            files.push((name, path));
        }
    }
    files
}

/// What is encoded beside a kept picture shows each frame when that does, and is cut where that is.
async fn fits(app: &App, who: &Somebody, video: &str) {
    let (generation, renditions) = ladder(app, video).await;
    let kept = &renditions[0];
    assert!(kept.copied && kept.generation.is_some_and(|own| own != generation), "{:?}", kept.name);
    for rendition in renditions[1..].iter().filter(|rendition| rendition.name != "audio") {
        assert_eq!(rendition.generation, None);
        let (ours, theirs) = (boundaries(rendition), boundaries(kept));
        let near = |(ours, theirs): (&u64, &u64)| ours.abs_diff(*theirs) < 5_000;
        assert!(ours.len() == theirs.len() && ours.iter().zip(&theirs).all(near), "{ours:?} {theirs:?}");
    }
    let files = fetched(app, who, video).await;
    let of = |name: &str| files.iter().find(|(file, _)| file.ends_with(&format!("/{name}.m3u8"))).map(|(_, path)| frames(app, path));
    let source = of(&kept.name).expect("it plays");
    for rendition in renditions[1..].iter().filter(|rendition| rendition.name != "audio") {
        let ours = of(&rendition.name).expect("it plays");
        assert_eq!(ours.len(), source.len(), "all frames");
        let moved: Vec<_> = ours.iter().zip(&source).filter(|((ours, _), (theirs, _))| (ours - theirs).abs() > 2).collect();
        assert!(moved.is_empty(), "shown at another time: {moved:?}");
        let cuts = boundaries(kept);
        let begins = std::iter::once(0).chain(cuts[..cuts.len() - 1].iter().map(|us| (us / 1_000) as i64));
        for at in begins {
            assert!(ours.iter().any(|(time, key)| *key && (time - ours[0].0 - at).abs() <= 2), "a key frame at {at}");
        }
    }
}

async fn audited(audit: &StoreAudit) -> AuditReport {
    audit.run(AuditOptions { deep: true, repair: false, grace_ms: 0, after: None }, &|_| ()).await.expect("looked")
}

#[tokio::test]
async fn a_compliant_source_is_never_stored_twice_and_stays_with_its_video() {
    let mut app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let video = app.upload(&ada, "car-detection.mp4", CARS).await;
    let id: Uuid = video.parse().expect("an id");
    let before = playlists(&app, &ada, &video).await;
    let (audit, removals) = (app.store_audit(), app.removals());
    app.work();
    assert_eq!(app.settled(&ada, &video).await["status"], "done");

    let (generation, renditions) = ladder(&app, &video).await;
    let names: Vec<_> = renditions.iter().map(|rendition| rendition.name.as_str()).collect();
    assert_eq!(names, ["432p", "240p", "audio"]);
    assert_eq!(stored(&app, generation), ["240p", "poster.jpg"].map(str::to_owned).into());
    fits(&app, &ada, &video).await;
    let after = playlists(&app, &ada, &video).await;
    assert!(before.iter().all(|entry| after.contains(entry)), "who plays it goes on with the very same addresses: {after:?}");
    let files = files_below(&app.folder.path().join("store/published"));
    let bytes: u64 =
        files.iter().map(|file| std::fs::metadata(app.folder.path().join("store/published").join(file)).expect("there").len()).sum();
    assert_eq!(row(&app, &video).await.published_bytes, i64::try_from(bytes).ok(), "what is stored is counted once");

    // Its time is never over.
    let then = now_ms() - 100 * 86_400_000;
    videos::Entity::update_many()
        .col_expr(videos::Column::UpdatedAtMs, Expr::value(then))
        .filter(videos::Column::Id.eq(id))
        .exec(&app.db)
        .await
        .expect("written");
    Sources::new(app.db.clone(), 7).let_go_of_old().await.expect("looked");
    removals.work_off().await.expect("worked off");
    assert_eq!(files_below(&app.folder.path().join("store/sources")).len(), 1);
    let report = audited(&audit).await;
    assert!(report.findings.is_empty(), "{:?}", report.findings);

    // Made anew it is the same again, and what was there before goes.
    app.state.videos.redrive(ada.user, video.parse().expect("an id"), Act::of_nobody(AuditKind::JobRetried, None)).await.expect("again");
    eventually("it is made anew", async || {
        let row = row(&app, &video).await;
        row.stage == "ready" && row.generation_id != Some(generation.0)
    })
    .await;
    eventually("what was there before goes", async || stored(&app, generation).is_empty()).await;
    fits(&app, &ada, &video).await;

    app.state.videos.delete(ada.user, video.parse().expect("an id")).await.expect("deleted");
    eventually("nothing is left in the store", async || files_below(&app.folder.path().join("store")).is_empty()).await;
    for address in after.iter().flat_map(|(_, addresses)| addresses) {
        assert_eq!(anonymous(&app, address).await.status, StatusCode::NOT_FOUND, "{address}");
    }
}

#[tokio::test]
async fn a_small_source_is_all_there_is() {
    let mut app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let small = clip(
        &app,
        "-f lavfi -i testsrc2=s=320x180:r=25:d=6 -f lavfi -i sine=d=6 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 50 -c:a aac",
    );
    let video = app.upload(&ada, "small.mp4", &small).await;
    app.work();
    assert_eq!(app.settled(&ada, &video).await["status"], "done");
    let (generation, renditions) = ladder(&app, &video).await;
    assert!(renditions.len() == 2 && renditions.iter().all(|rendition| rendition.generation.is_some()), "{renditions:?}");
    assert_eq!(stored(&app, generation), BTreeSet::from(["poster.jpg".to_owned()]));
    assert_eq!(fetched(&app, &ada, &video).await.len(), 1);
}

#[tokio::test]
async fn what_begins_late_is_late_in_every_rung() {
    let mut app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let late = clip(
        &app,
        "-itsoffset 0.4 -f lavfi -i testsrc2=s=640x360:r=30000/1001:d=14 -f lavfi -i sine=d=14 -map 0:v -map 1:a -c:v libx264 -preset ultrafast \
         -bf 3 -pix_fmt yuv420p -g 400 -sc_threshold 0 -force_key_frames 0,0.9,1.3,4.7,5.1,10.2 -c:a aac",
    );
    let video = app.upload(&ada, "late.mp4", &late).await;
    app.work();
    assert_eq!(app.settled(&ada, &video).await["status"], "done");
    fits(&app, &ada, &video).await;
}

#[tokio::test]
async fn what_is_a_stopgap_gives_way_to_a_whole_ladder() {
    let mut app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let picture =
        "-f lavfi -i testsrc2=s=640x360:r=25:d=5 -f lavfi -i sine=d=5 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 50 -c:a aac";
    let surround = clip(&app, &format!("{picture} -ac 6"));
    let turned = {
        let path = app.folder.path().join("straight.mp4");
        std::fs::write(&path, clip(&app, picture)).expect("written");
        clip(&app, &format!("-i {} -c copy -metadata:s:v:0 rotate=90", path.display()))
    };
    let videos = [app.upload(&ada, "surround.mp4", &surround).await, app.upload(&ada, "turned.mp4", &turned).await];
    for video in &videos {
        assert_eq!(app.status(&ada, video).await["playable"], true, "it plays at once");
    }
    app.work();
    for video in &videos {
        assert_eq!(app.settled(&ada, video).await["status"], "done");
        let (generation, renditions) = ladder(&app, video).await;
        assert!(renditions.iter().all(|rendition| rendition.generation.is_none()), "{renditions:?}");
        let names = renditions.iter().map(|rendition| rendition.name.clone()).chain(["poster.jpg".to_owned()]);
        assert_eq!(stored(&app, generation), names.collect());
        assert!(!row(&app, video).await.plays_source);
        assert!(!fetched(&app, &ada, video).await.is_empty());
    }
}

#[tokio::test]
async fn a_source_that_is_lost_is_told_of_and_the_rest_plays() {
    let mut app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let video = app.upload(&ada, "car-detection.mp4", CARS).await;
    let audit = app.store_audit();
    app.work();
    assert_eq!(app.settled(&ada, &video).await["status"], "done");
    let source = files_below(&app.folder.path().join("store/sources")).remove(0);
    std::fs::remove_file(app.folder.path().join("store/sources").join(source)).expect("lost");
    let found = audited(&audit).await.findings;
    assert!(found.iter().any(|finding| finding.kind == domain::store_audit::FindingKind::SourceMissing), "{found:?}");
    for (name, addresses) in playlists(&app, &ada, &video).await {
        let expected = if name.ends_with("/240p.m3u8") { StatusCode::OK } else { StatusCode::NOT_FOUND };
        assert_eq!(anonymous(&app, &addresses[1]).await.status, expected, "{name}");
    }
}
