//! Uploads over HTTP: what is taken, what is refused and how, and that nothing stored is lost or left behind.

use axum::{
    body::Body,
    http::{Method, StatusCode},
};
use domain::{
    ids::UploadId,
    storage_key::StorageKey,
    upload::{PART_SIZE, PartPlan},
};

use crate::{
    app::{App, files_below, noise},
    workshop::eventually,
};

#[tokio::test]
async fn parts_sent_wrong_twice_or_late_are_answered_clearly() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let bytes = noise(PART_SIZE as usize + 10);
    let ticket = app.begin(&ada, "clip.mp4", bytes.len()).await;
    let (first, last) = bytes.split_at(PART_SIZE as usize);
    let crc = crc32c::crc32c(last);

    let wrong = app.put_part(&ada, &ticket, 2, crc ^ 1, last.to_vec()).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "checksum_mismatch"));
    let short = app.put_part(&ada, &ticket, 2, crc, last[1..].to_vec()).await;
    assert_eq!((short.status, short.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "part_size_mismatch"));
    let none = app.put_part(&ada, &ticket, 3, crc, last.to_vec()).await;
    assert_eq!((none.status, none.code().as_str()), (StatusCode::BAD_REQUEST, "invalid_input"));
    for _ in 0..2 {
        assert_eq!(app.put_part(&ada, &ticket, 2, crc, last.to_vec()).await.status, StatusCode::OK);
    }

    let early = app.complete(&ada, &ticket).await;
    assert_eq!((early.status, early.code().as_str()), (StatusCode::CONFLICT, "parts_missing"));
    assert_eq!(early.json()["missing"], serde_json::json!([1]));

    assert_eq!(app.put_part(&ada, &ticket, 1, crc32c::crc32c(first), first.to_vec()).await.status, StatusCode::OK);
    let resumed = app.get(Some(&ada), &format!("/api/v1/uploads/{}", ticket.upload_id)).await.json();
    assert_eq!(resumed["received"], serde_json::json!([1, 2]));
    // Completed five times at once, it is one video with one job.
    let answers = futures::future::join_all((0..5).map(|_| app.complete(&ada, &ticket))).await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK), "{answers:?}");
    assert_eq!(app.status(&ada, &ticket.video_id.to_string()).await["stage"], "queued");
    let stored = app.folder.path().join(format!("store/sources/{}", ticket.upload_id));
    assert_eq!(std::fs::read(stored).expect("the source"), bytes);
    assert_eq!(crate::queue::jobs(&app).await, 1);
}

#[tokio::test]
async fn an_upload_whose_completion_was_interrupted_is_completed_when_somebody_looks() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let bytes = noise(PART_SIZE as usize + 10);
    let ticket = app.begin(&ada, "clip.mp4", bytes.len()).await;
    let (first, last) = bytes.split_at(PART_SIZE as usize);
    for (number, part) in [(1, first), (2, last)] {
        assert_eq!(app.put_part(&ada, &ticket, number, crc32c::crc32c(part), part.to_vec()).await.status, StatusCode::OK);
    }
    // What a process leaves that dies once the file is in its place and before the row says so.
    let store = app.folder.path().join("store");
    let folders: Vec<_> = std::fs::read_dir(store.join("incoming")).expect("incoming").map(|entry| entry.expect("entry").path()).collect();
    let [folder] = folders.as_slice() else { panic!("one upload, not {folders:?}") };
    std::fs::rename(folder.join("data"), store.join(StorageKey::Source { upload: ticket.upload_id }.to_string())).expect("moved");
    std::fs::remove_dir_all(folder).expect("removed");

    // A part that is sent all the same is read to its end: a browser that is answered earlier takes the line for broken.
    assert_eq!(app.put_part(&ada, &ticket, 1, crc32c::crc32c(first), first.to_vec()).await.status, StatusCode::OK);
    assert_eq!(app.put_part(&ada, &ticket, 1, crc32c::crc32c(first), last.to_vec()).await.code(), "part_size_mismatch");
    let resumed = app.get(Some(&ada), &format!("/api/v1/uploads/{}", ticket.upload_id)).await.json();
    assert_eq!(resumed["received"], serde_json::json!([1, 2]));
    assert_eq!(app.status(&ada, &ticket.video_id.to_string()).await["stage"], "queued");
    assert_eq!(app.complete(&ada, &ticket).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_begin_whose_answer_was_lost_begins_nothing_new() {
    let app = App::start().await;
    let (ada, eve) = (app.somebody("ada@example.com").await, app.somebody("eve@example.com").await);
    let body = format!("{{\"fileName\":\"a.mp4\",\"size\":10,\"uploadId\":\"{}\"}}", uuid::Uuid::new_v4());
    let begin =
        async |who| app.ask(Some(who), Method::POST, "/api/v1/uploads", &[("content-type", "application/json")], body.clone()).await;
    let (first, again) = (begin(&ada).await, begin(&ada).await);
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(first.json()["videoId"], again.json()["videoId"]);
    assert_eq!(app.state.videos.page(ada.user, None, None, 10).await.expect("a page").videos.len(), 1);
    let bytes = noise(10);
    assert!(!begin(&eve).await.status.is_success(), "an id of somebody else's opens nothing");
    let ticket = serde_json::from_slice(&first.body).expect("a ticket");
    assert_eq!(app.put_part(&ada, &ticket, 1, crc32c::crc32c(&bytes), bytes).await.status, StatusCode::OK, "and does no harm");
}

#[tokio::test]
async fn limits_hold_before_a_byte_is_stored() {
    let app = App::with(&[("MILLRACE_UPLOAD_MAX_SIZE_BYTES", "1000")]).await;
    let ada = app.somebody("ada@example.com").await;
    let json = [("content-type", "application/json")];
    for (body, code) in [
        (r#"{"fileName":"a.mp4","size":0}"#, "empty_file"),
        (r#"{"fileName":"a.mp4","size":1001}"#, "too_large"),
        (r#"{"fileName":"","size":5}"#, "invalid_input"),
        (r#"{"fileName":"a.mp4"}"#, "invalid_input"),
        ("not json", "invalid_input"),
    ] {
        let answer = app.ask(Some(&ada), Method::POST, "/api/v1/uploads", &json, body).await;
        assert_eq!(answer.code(), code, "{body}");
    }
    let (kind, body) = form(&[("file", Some("big.mp4"), &noise(1001))]);
    let answer = app.ask(Some(&ada), Method::POST, "/api/upload", &[("content-type", &kind)], body).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "too_large"));
    assert!(files_below(&app.folder.path().join("store")).is_empty());
}

#[tokio::test]
async fn a_form_upload_is_one_video_and_a_bad_form_is_none() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let upload = async |fields: &[(&str, Option<&str>, &[u8])]| {
        let (kind, body) = form(fields);
        app.ask(Some(&ada), Method::POST, "/api/upload", &[("content-type", &kind)], body).await
    };
    let bytes = noise(300_000);
    let answer = upload(&[("file", Some("holiday.mov"), &bytes), ("title", None, b"  At the sea\n")]).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    assert_eq!(answer.json()["status"], "processing");
    let video = answer.json()["videoId"].as_str().expect("an id").parse().expect("a video id");
    let video = app.state.videos.get(ada.user, video).await.expect("in the library");
    assert_eq!((video.title.as_str(), video.file_name.as_str(), video.size_bytes), ("At the sea", "holiday.mov", 300_000));

    assert_eq!(upload(&[("title", None, b"no file")]).await.code(), "invalid_input");
    assert_eq!(upload(&[("file", Some("empty.mp4"), b"")]).await.code(), "empty_file");
    assert_eq!(upload(&[("file", Some("a.mp4"), &bytes), ("file", Some("b.mp4"), &bytes)]).await.code(), "invalid_input");
    let (kind, mut cut) = form(&[("file", Some("a.mp4"), &bytes)]);
    cut.truncate(150_000);
    let answer = app.ask(Some(&ada), Method::POST, "/api/upload", &[("content-type", &kind)], cut).await;
    assert_eq!(answer.code(), "invalid_input");
    assert_eq!(files_below(&app.folder.path().join("store")).len(), 1, "only the good file is kept");
    assert_eq!(app.state.videos.page(ada.user, None, None, 10).await.expect("a page").videos.len(), 1);
}

#[tokio::test]
async fn a_cancelled_upload_leaves_nothing() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let bytes = noise(1_000);
    let ticket = app.begin(&ada, "clip.mp4", bytes.len()).await;
    assert_eq!(app.put_part(&ada, &ticket, 1, crc32c::crc32c(&bytes), bytes).await.status, StatusCode::OK);
    let path = format!("/api/v1/uploads/{}", ticket.upload_id);
    assert_eq!(app.ask(Some(&ada), Method::DELETE, &path, &[], Body::empty()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(app.ask(Some(&ada), Method::DELETE, &path, &[], Body::empty()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.get(Some(&ada), &format!("/api/status?videoId={}", ticket.video_id)).await.status, StatusCode::NOT_FOUND);
    // Whoever gives it up waits a moment for the bytes; where the disk takes longer, they go on going.
    eventually("nothing is left in the store", async || files_below(&app.folder.path().join("store")).is_empty()).await;
}

#[tokio::test]
async fn uploads_that_nobody_goes_on_with_are_given_up() {
    use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
    use server::db::entity::uploads;
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let (old, new) = (app.begin(&ada, "old.mp4", 10).await, app.begin(&ada, "new.mp4", 10).await);
    let eight_days_ago = server::clock::now_ms() - 8 * 86_400_000;
    uploads::Entity::update_many()
        .col_expr(uploads::Column::UpdatedAtMs, Expr::value(eight_days_ago))
        .filter(uploads::Column::Id.eq(old.upload_id.0))
        .exec(&app.db)
        .await
        .expect("aged");
    app.state.uploads.give_up_stale().await.expect("given up");
    let page = app.state.videos.page(ada.user, None, None, 10).await.expect("a page");
    assert_eq!(page.videos.iter().map(|video| video.id).collect::<Vec<_>>(), [new.video_id]);
    let kept = |file: &String| file.contains(&new.upload_id.to_string());
    eventually("the old one's bytes are gone", async || files_below(&app.folder.path().join("store")).iter().all(kept)).await;
    assert_eq!(files_below(&app.folder.path().join("store/incoming")).len(), 2, "data and ledger of the new one");
}

/// A `multipart/form-data` body: name, file name, content.
fn form(fields: &[(&str, Option<&str>, &[u8])]) -> (String, Vec<u8>) {
    let boundary = "boundary-of-the-tests";
    let mut body = Vec::new();
    for (name, file_name, content) in fields {
        let file_name = file_name.map(|file_name| format!("; filename=\"{file_name}\"")).unwrap_or_default();
        body.extend_from_slice(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{file_name}\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

#[tokio::test]
async fn the_same_request_many_times_at_once_begins_one_upload() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let id = uuid::Uuid::now_v7();
    let body = serde_json::json!({ "fileName": "clip.mp4", "size": 1_000, "uploadId": id }).to_string();
    let json = [("content-type", "application/json")];
    let answers =
        futures::future::join_all((0..8).map(|_| app.ask(Some(&ada), Method::POST, "/api/v1/uploads", &json, body.clone()))).await;
    let videos: std::collections::BTreeSet<String> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
            answer.json()["videoId"].as_str().expect("an id").to_owned()
        })
        .collect();
    assert_eq!(videos.len(), 1, "{videos:?}");
    assert_eq!(files_below(&app.folder.path().join("store/incoming")).len(), 2, "data and ledger of one upload");
}

#[tokio::test]
async fn what_a_dead_process_had_begun_is_in_nobodys_way() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let id = uuid::Uuid::now_v7();
    // It made room for the file, and died before it wrote down that there is an upload.
    let key = StorageKey::Source { upload: UploadId(id) };
    app.state.store.begin_multipart(&key, PartPlan::for_size(1_000)).await.expect("begun");
    let body = serde_json::json!({ "fileName": "clip.mp4", "size": 1_000, "uploadId": id }).to_string();
    let answer = app.ask(Some(&ada), Method::POST, "/api/v1/uploads", &[("content-type", "application/json")], body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    let bytes = noise(1_000);
    let part = format!("/api/v1/uploads/{id}/parts/1");
    let sum = format!("{:08x}", crc32c::crc32c(&bytes));
    assert_eq!(app.ask(Some(&ada), Method::PUT, &part, &[("x-millrace-crc32c", &sum)], bytes).await.status, StatusCode::OK);
    let complete = app.ask(Some(&ada), Method::POST, &format!("/api/v1/uploads/{id}/complete"), &[], "").await;
    assert_eq!(complete.status, StatusCode::OK, "{}", complete.text());
}
