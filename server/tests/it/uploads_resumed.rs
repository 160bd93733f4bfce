//! Uploads that go on later: how their owner finds them again, and that nothing in the way of a file counts in fewer bits than files have bytes.

use std::{fmt::Write as _, io::Write as _, os::unix::fs::FileExt};

use axum::http::{Method, StatusCode};
use domain::upload::{PART_SIZE, PartPlan, UploadTicket};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use serde_json::json;
use server::{clock::now_ms, db::entity::uploads};

use crate::{
    app::{App, Somebody, noise},
    workshop::eventually,
};

const MIB: usize = 1024 * 1024;

async fn begin(app: &App, who: &Somebody, body: serde_json::Value) -> UploadTicket {
    let answer = app.ask(Some(who), Method::POST, "/api/v1/uploads", &[("content-type", "application/json")], body.to_string()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    serde_json::from_slice(&answer.body).expect("a ticket")
}

async fn unfinished(app: &App, who: &Somebody) -> Vec<serde_json::Value> {
    let answer = app.get(Some(who), "/api/v1/uploads").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()["uploads"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn their_owner_finds_them_and_nobody_else_does() {
    let app = App::start().await;
    let (ada, eve) = (app.somebody("ada@example.com").await, app.somebody("eve@example.com").await);
    assert!(unfinished(&app, &ada).await.is_empty());
    let begun = json!({ "fileName": "long.mov", "size": 4 * MIB, "partSize": 2 * MIB, "fingerprint": "c1-0123456789abcdef" });
    let ticket = begin(&app, &ada, begun).await;
    assert_eq!(ticket.plan.part_size, 2 * MIB as u64, "the wish is granted");
    let bytes = noise(2 * MIB);
    assert_eq!(app.put_part(&ada, &ticket, 2, crc32c::crc32c(&bytes), bytes.clone()).await.status, StatusCode::OK);

    // A moment after the part is safe.
    eventually("how far it is, is noted", async || unfinished(&app, &ada).await[0]["percent"] != json!(0)).await;
    let listed = unfinished(&app, &ada).await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    let one = &listed[0];
    assert_eq!(
        (&one["uploadId"], &one["videoId"], &one["fileName"], &one["size"], &one["percent"], &one["fingerprint"]),
        (&json!(ticket.upload_id), &json!(ticket.video_id), &json!("long.mov"), &json!(4 * MIB), &json!(50), &json!("c1-0123456789abcdef"))
    );
    let kept = one["expiresAtMs"].as_i64().expect("a time") - one["updatedAtMs"].as_i64().expect("a time");
    assert_eq!(kept, app.state.settings.upload.unfinished_days * 86_400_000);
    assert!(unfinished(&app, &eve).await.is_empty());

    // The rest, from wherever: the server says what it has.
    let again: UploadTicket =
        serde_json::from_value(app.get(Some(&ada), &format!("/api/v1/uploads/{}", ticket.upload_id)).await.json()).expect("a ticket");
    assert_eq!(again.received, [2]);
    assert_eq!(app.put_part(&ada, &again, 1, crc32c::crc32c(&bytes), bytes).await.status, StatusCode::OK);
    assert_eq!(app.complete(&ada, &again).await.status, StatusCode::OK);
    assert!(unfinished(&app, &ada).await.is_empty(), "it is complete");
}

#[tokio::test]
async fn discarded_and_expired_ones_are_not_offered() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let (old, unwanted, new) = (
        begin(&app, &ada, json!({ "fileName": "old.mp4", "size": 10 })).await,
        begin(&app, &ada, json!({ "fileName": "unwanted.mp4", "size": 10 })).await,
        begin(&app, &ada, json!({ "fileName": "new.mp4", "size": 10 })).await,
    );
    let long_ago = now_ms() - app.state.settings.upload.unfinished_days * 86_400_000 - 1;
    uploads::Entity::update_many()
        .col_expr(uploads::Column::UpdatedAtMs, Expr::value(long_ago))
        .filter(uploads::Column::Id.eq(old.upload_id.0))
        .exec(&app.db)
        .await
        .expect("aged");
    let gone = app.ask(Some(&ada), Method::DELETE, &format!("/api/v1/uploads/{}", unwanted.upload_id), &[], "").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let listed = unfinished(&app, &ada).await;
    assert_eq!(listed.iter().map(|one| &one["uploadId"]).collect::<Vec<_>>(), [&json!(new.upload_id)]);
    assert!(listed[0].get("fingerprint").is_none(), "nothing was said about its bytes");
}

#[tokio::test]
async fn wishes_and_fingerprints_out_of_bounds_do_no_harm() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    for (wish, granted) in [(0, MIB), (1, MIB), (3 * MIB + 1, 3 * MIB + 256 * 1024), (usize::MAX / 2, 32 * MIB)] {
        let ticket = begin(&app, &ada, json!({ "fileName": "a.mp4", "size": 50, "partSize": wish })).await;
        assert_eq!(ticket.plan.part_size, granted as u64, "{wish}");
    }
    for bad in ["", "two words", "é", &"x".repeat(65)] {
        let body = json!({ "fileName": "a.mp4", "size": 50, "fingerprint": bad }).to_string();
        let answer = app.ask(Some(&ada), Method::POST, "/api/v1/uploads", &[("content-type", "application/json")], body).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "invalid_input"), "{bad:?}");
    }
}

/// The upload of a small file, as if that were `plan`'s: nobody has so much room for a test. Gives the folder in which it arrives.
async fn stretched(app: &App, ticket: &UploadTicket, plan: PartPlan) -> std::path::PathBuf {
    let row = uploads::Entity::find_by_id(ticket.upload_id.0).one(&app.db).await.expect("asked").expect("its row");
    let folder = app.folder.path().join("store/incoming").join(&row.multipart_id);
    std::fs::OpenOptions::new().write(true).open(folder.join("data")).and_then(|data| data.set_len(plan.file_size)).expect("a sparse file");
    let signed = |bytes: u64| Expr::value(i64::try_from(bytes).expect("in range"));
    uploads::Entity::update_many()
        .col_expr(uploads::Column::SizeBytes, signed(plan.file_size))
        .col_expr(uploads::Column::PartSize, signed(plan.part_size))
        .filter(uploads::Column::Id.eq(ticket.upload_id.0))
        .exec(&app.db)
        .await
        .expect("stretched");
    folder
}

#[tokio::test]
async fn sixty_gigabytes_arrive_at_their_places() {
    const SIZE: u64 = 60_000_000_003;
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let mut ticket = begin(&app, &ada, json!({ "fileName": "long.mov", "size": 10 })).await;
    ticket.plan = PartPlan::for_size(SIZE);
    let folder = stretched(&app, &ticket, ticket.plan).await;

    // The head, one on either side of 4 GiB, and the tail.
    let count = ticket.plan.part_count();
    let behind_4_gib = u32::try_from((1_u64 << 32) / PART_SIZE + 1).expect("a number");
    let mut sent = Vec::new();
    for number in [count, 1, behind_4_gib, behind_4_gib - 1] {
        let (offset, length) = ticket.plan.part_range(number).expect("a part");
        let mut bytes = noise(usize::try_from(length).expect("a part fits into memory"));
        bytes[0] = number.to_le_bytes()[0];
        let answer = app.put_part(&ada, &ticket, number, crc32c::crc32c(&bytes), bytes.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{number}: {}", answer.text());
        sent.push((offset, bytes));
    }
    let ticket: UploadTicket =
        serde_json::from_value(app.get(Some(&ada), &format!("/api/v1/uploads/{}", ticket.upload_id)).await.json()).expect("a ticket");
    assert_eq!((ticket.plan.file_size, &ticket.received[..]), (SIZE, &[1, behind_4_gib - 1, behind_4_gib, count][..]));
    let early = app.complete(&ada, &ticket).await;
    assert_eq!((early.status, early.json()["missing"].as_array().map(Vec::len)), (StatusCode::CONFLICT, Some(count as usize - 4)));

    // The holes count as sent.
    let mut lines = String::new();
    for number in ticket.plan.missing(&ticket.received) {
        let (_, length) = ticket.plan.part_range(number).expect("a part");
        writeln!(lines, "+ {number} {length} 00000000").expect("written");
    }
    let mut ledger = std::fs::OpenOptions::new().append(true).open(folder.join("ledger")).expect("the ledger");
    ledger.write_all(lines.as_bytes()).expect("written");
    let complete = app.complete(&ada, &ticket).await;
    assert_eq!(complete.status, StatusCode::OK, "{}", complete.text());
    let source = std::fs::File::open(app.folder.path().join(format!("store/sources/{}", ticket.upload_id))).expect("the source");
    assert_eq!(source.metadata().expect("its size").len(), SIZE);
    for (offset, bytes) in sent {
        let mut read = vec![0; bytes.len()];
        source.read_exact_at(&mut read, offset).expect("read");
        assert!(read == bytes, "the part at {offset}");
    }
}
