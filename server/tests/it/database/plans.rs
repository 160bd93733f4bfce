//! How the databases find what lists and queues ask for: by an index.

use domain::{
    ids::{UserId, VideoId},
    job::JobState,
    video::Stage,
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    QueryTrait, Statement, sea_query::Expr,
};
use server::{
    clock::now_ms,
    db::entity::{
        alert_notices, alerts, api_keys, audit_log, grants, invites, jobs, removals, renditions, sessions, store_audits, titles, uploads,
        users, videos,
    },
    services::{
        alerts::rules::given_up_query,
        api_keys::{list_query, working},
        backlog::{self, Blame},
        changes, grants as named, jobs as leases, private_media, removals as removing, sessions as signed_in, sources, storage,
        store_audit,
        uploads::quota::usage_query,
        users as people,
        videos::page_query,
        vitals, withdrawals,
    },
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::own::OwnDatabase;

const VIDEOS: usize = 6_000;
const OWNERS: usize = 20;

/// All that lists and queues ask, as the services build it.
fn questions(backend: DbBackend, user: Uuid, video: Uuid, handle: &str) -> Vec<(&'static str, Statement)> {
    let (now, owner, last) = (now_ms(), UserId(user), Some(VideoId(video)));
    vec![
        ("library, first page", page_query(owner, None, 25).build(backend)),
        ("library, next page", page_query(owner, last, 25).build(backend)),
        ("search, where the newest title stands", titles::Entity::newest_place(user).build(backend)),
        ("search, where the next page begins", titles::Entity::at_or_before(user, video).build(backend)),
        ("search, where a title stands", titles::Entity::place_of(user, video).build(backend)),
        ("search, videos found", videos::Entity::of(user).filter(videos::Column::Id.is_in([video])).build(backend)),
        ("changes since", changes::changed_query((now - 5_000, Uuid::nil())).build(backend)),
        ("media that became private", private_media::changed_query(now - 5_000).build(backend)),
        ("grants that were revoked", private_media::revoked_query(now - 5_000).build(backend)),
        ("all revoked grants", private_media::revoked_query(0).build(backend)),
        ("grants of a video", named::list_query(owner, VideoId(video)).build(backend)),
        ("media in memory that are published", withdrawals::published_query(&[Uuid::nil(), Uuid::now_v7()]).build(backend)),
        ("media in memory that are packaged", withdrawals::packaged_query(&[Uuid::nil(), Uuid::now_v7()]).build(backend)),
        ("private media", private_media::private_query().build(backend)),
        ("due job", leases::due_query(now).build(backend)),
        ("running jobs", leases::running_query().build(backend)),
        ("jobs that wait", backlog::waiting_query().build(backend)),
        ("the job that has waited longest", backlog::oldest_query().build(backend)),
        ("jobs that failed on our side", backlog::failed_query(Blame::Ours, Uuid::max(), 51).build(backend)),
        ("jobs that failed because of the file", backlog::failed_query(Blame::File, Uuid::now_v7(), 51).build(backend)),
        ("last job of an account", leases::last_of_query(domain::ids::UserId(user)).build(backend)),
        ("jobs of a video", jobs::Entity::of(video).build(backend)),
        ("unfinished uploads", uploads::Entity::unfinished_since(now - 86_400_000).build(backend)),
        ("unfinished uploads of an account", uploads::Entity::unfinished_of(user, now - 86_400_000).build(backend)),
        ("expired sessions", sessions::Entity::delete_expired(now).build(backend)),
        ("removals due", removing::due_query(now).build(backend)),
        ("sources to let go of", sources::old_query(now - 86_400_000).build(backend)),
        ("what an account stores", usage_query(owner).build(backend)),
        ("what an account has taken up", storage::account_query(owner).build(backend)),
        ("whether generations are published", store_audit::generations_query(&[video]).build(backend)),
        ("whether generations give a poster", store_audit::generation_posters_query(&[video]).build(backend)),
        ("whether generations are being made", store_audit::generation_jobs_query(&[video]).build(backend)),
        ("whether something is to be removed", store_audit::removals_query(&[video]).build(backend)),
        ("last checks of the store", store_audit::last_query().build(backend)),
        ("by playback id", videos::Entity::by_playback_id(handle).build(backend)),
        ("renditions of a generation", renditions::Entity::of(video).build(backend)),
        ("keys of an account", list_query(owner).build(backend)),
        ("key by its secret", working().filter(api_keys::Column::SecretHash.eq(format!("{:064}", 7))).build(backend)),
        ("sessions of an account", signed_in::list_query(owner, now).build(backend)),
        ("session by its cookie", sessions::Entity::standing(&format!("{:064}", 7), now).build(backend)),
        ("people", people::page_query(None, 51).build(backend)),
        ("what people have", people::totals_query(vec![user]).build(backend)),
        ("people who leave", users::Entity::leaving().build(backend)),
        ("people who are disabled", users::Entity::disabled().build(backend)),
        ("audit log, first page", audit_log::Entity::older_than(Uuid::max()).limit(51).build(backend)),
        ("audit log, next page", audit_log::Entity::older_than(Uuid::now_v7()).limit(51).build(backend)),
        ("open alerts", alerts::Entity::open().build(backend)),
        ("an alert", alerts::Entity::of("low_disk", "machine: data").build(backend)),
        ("messages due", alert_notices::Entity::due(now).build(backend)),
        ("messages given up", alert_notices::Entity::given_up().build(backend)),
        ("old messages", alert_notices::Entity::delete_before(alert_notices::SENT, now - 900_000_000).build(backend)),
        ("oldest job that waits", vitals::oldest_query().build(backend)),
        ("jobs that wait", vitals::in_state_query(JobState::Queued).build(backend)),
        ("jobs given up by our fault", given_up_query().build(backend)),
        ("old acts", audit_log::Entity::delete_before(now - 900_000_000).build(backend)),
        ("open invitations", invites::Entity::open(now).build(backend)),
        ("expired invitations", invites::Entity::delete_expired(now).build(backend)),
        ("invitation by its secret", invites::Entity::with_secret(&format!("{:064}", 7), now).build(backend)),
    ]
}

async fn fill<E>(db: &DatabaseConnection, rows: Vec<E::Model>)
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
{
    let mut rows = rows.into_iter().map(|row| row.into_active_model().reset_all()).peekable();
    while rows.peek().is_some() {
        E::insert_many(rows.by_ref().take(500)).exec_without_returning(db).await.expect("written");
    }
}

/// One in a hundred is where the queries look.
fn rare(number: usize) -> bool {
    number.is_multiple_of(100)
}

fn video(number: usize, user_id: Uuid, now: i64) -> videos::Model {
    videos::Model {
        id: Uuid::now_v7(),
        user_id,
        status: "done".to_owned(),
        s3_input_url: rare(number).then(|| "file:source".to_owned()),
        s3_output_url: None,
        created_at: OffsetDateTime::now_utc(),
        playback_id: format!("handle{number:014}"),
        title: format!("Video {number}"),
        title_folded: format!("video {number}"),
        visibility: if rare(number) { "private" } else { "unlisted" }.to_owned(),
        stage: Stage::Ready.as_str().to_owned(),
        progress: 100,
        failure_code: None,
        file_name: "video.mp4".to_owned(),
        size_bytes: 1,
        source_facts: Some("{}".repeat(200)),
        generation_id: Some(Uuid::now_v7()),
        poster_generation_id: None,
        updated_at_ms: if rare(number) { now } else { now - 1_000_000_000 - number as i64 },
        embed_hosts: None,
        published_bytes: Some(1),
        packaged_generation_id: rare(number).then(Uuid::now_v7),
        packaged_facts: None,
        growing_generation_id: rare(number).then(Uuid::now_v7),
        plays_source: false,
    }
}

fn job(number: usize, video_id: Uuid, user_id: Uuid, now: i64) -> jobs::Model {
    let state = if rare(number) {
        "queued"
    } else if rare(number + 1) {
        "running"
    } else {
        "done"
    };
    jobs::Model {
        id: Uuid::now_v7(),
        video_id,
        user_id: Some(user_id),
        turn: number as i64,
        state: state.to_owned(),
        attempt: 1,
        run_after_ms: now - number as i64,
        lease_owner: None,
        lease_expires_at_ms: now - number as i64,
        fence: 1,
        generation_id: None,
        encode_id: None,
        encode_report: None,
        last_error: None,
        began_at_ms: None,
        ended_at_ms: None,
        failure_code: None,
        created_at_ms: now,
    }
}

/// A database that has been in use for a while; gives an account and one of its videos.
async fn in_use(db: &DatabaseConnection) -> (Uuid, videos::Model) {
    let now = now_ms();
    let owners: Vec<Uuid> = (0..OWNERS).map(|_| Uuid::now_v7()).collect();
    let user = |(number, id): (usize, Uuid)| users::Model {
        id,
        email: format!("{number}@example.com"),
        password_hash: String::new(),
        created_at: OffsetDateTime::now_utc(),
        role: "member".to_owned(),
        disabled_at_ms: (number >= OWNERS && rare(number)).then_some(now),
        leaving_at_ms: (number >= OWNERS && rare(number)).then_some(now),
        session_epoch: 0,
        embed_hosts: None,
    };
    let others = (0..VIDEOS).map(|_| Uuid::now_v7());
    fill::<users::Entity>(db, owners.iter().copied().chain(others).enumerate().map(user).collect()).await;
    let made: Vec<videos::Model> = (0..VIDEOS).map(|number| video(number, owners[number % OWNERS], now)).collect();
    let some = made[VIDEOS / 2].clone();
    fill::<videos::Entity>(db, made.clone()).await;
    let each = || made.iter().enumerate();
    fill::<jobs::Entity>(db, each().map(|(number, video)| job(number, video.id, video.user_id, now)).collect()).await;
    let upload = |(number, video): (usize, &videos::Model)| uploads::Model {
        id: Uuid::now_v7(),
        user_id: video.user_id,
        video_id: video.id,
        multipart_id: String::new(),
        size_bytes: 1,
        part_size: 1,
        complete: !rare(number),
        fingerprint: None,
        updated_at_ms: now - 1_000_000_000 + number as i64,
        trace_parent: None,
    };
    fill::<uploads::Entity>(db, each().map(upload).collect()).await;
    let grant = |(number, video): (usize, &videos::Model)| grants::Model {
        id: Uuid::now_v7(),
        video_id: video.id,
        user_id: video.user_id,
        name: "Grace".to_owned(),
        created_at_ms: now,
        expires_at_ms: None,
        revoked_at_ms: rare(number).then_some(now),
        last_used_at_ms: None,
        embed_hosts: None,
    };
    fill::<grants::Entity>(db, each().map(grant).collect()).await;
    let rendition = |(_, video): (usize, &videos::Model)| renditions::Model {
        generation_id: Uuid::now_v7(),
        name: "720p".to_owned(),
        video_id: video.id,
        body: "{}".to_owned(),
    };
    fill::<renditions::Entity>(db, each().map(rendition).collect()).await;
    let session = |number: usize| sessions::Model {
        id_hash: format!("{number:064}"),
        user_id: Some(owners[number % OWNERS]),
        data: "{}".to_owned(),
        expires_at_ms: if rare(number) { now - 1 } else { now + 1_000_000 },
        device: "Firefox on Linux".to_owned(),
        address: "127.0.0.1".to_owned(),
        since_ms: now,
        last_seen_ms: now,
        epoch: 0,
    };
    fill::<sessions::Entity>(db, (0..VIDEOS).map(session).collect()).await;
    let removal = |number: usize| removals::Model {
        id: Uuid::now_v7(),
        kind: "source".to_owned(),
        target: Uuid::now_v7(),
        multipart_id: String::new(),
        run_after_ms: if rare(number) { now - 1 } else { now + 1_000_000 },
    };
    fill::<removals::Entity>(db, (0..VIDEOS).map(removal).collect()).await;
    let check = |_: usize| store_audits::Model { id: Uuid::now_v7(), at_ms: now, report: "{}".to_owned() };
    fill::<store_audits::Entity>(db, (0..VIDEOS).map(check).collect()).await;
    let key = |number: usize| api_keys::Model {
        id: Uuid::now_v7(),
        user_id: owners[number % OWNERS],
        name: "key".to_owned(),
        prefix: "mr_".to_owned(),
        secret_hash: format!("{number:064}"),
        created_at_ms: now,
        last_used_at_ms: None,
        scope: "manage".to_owned(),
    };
    fill::<api_keys::Entity>(db, (0..2_000).map(key).collect()).await;
    let act = |number: usize| audit_log::Model {
        id: Uuid::now_v7(),
        at_ms: now - if rare(number) { 1_000_000_000 } else { number as i64 },
        actor_id: None,
        actor: String::new(),
        kind: "signed_in".to_owned(),
        subject: String::new(),
        address: String::new(),
        detail: "{}".to_owned(),
    };
    fill::<audit_log::Entity>(db, (0..VIDEOS).map(act).collect()).await;
    let invite = |number: usize| invites::Model {
        id: Uuid::now_v7(),
        secret_hash: format!("{number:064}"),
        name: "Bob".to_owned(),
        created_by: None,
        created_at_ms: now,
        expires_at_ms: if rare(number) { now - 1 } else { now + 1_000_000 },
    };
    fill::<invites::Entity>(db, (0..2_000).map(invite).collect()).await;
    fill_alerts(db, now).await;
    (some.user_id, some)
}

async fn fill_alerts(db: &DatabaseConnection, now: i64) {
    let alert = |number: usize| alerts::Model {
        id: Uuid::now_v7(),
        kind: "low_disk".to_owned(),
        subject: format!("machine {number}: data"),
        is_open: rare(number),
        detail: String::new(),
        opened_at_ms: now - number as i64,
        told_at_ms: now,
        told_size: 0,
        seen_at_ms: now,
        resolved_at_ms: None,
    };
    fill::<alerts::Entity>(db, (0..2_000).map(alert).collect()).await;
    let notice = |number: usize| alert_notices::Model {
        id: Uuid::now_v7(),
        channel: "webhook".to_owned(),
        event: "alert.opened".to_owned(),
        message: "{}".to_owned(),
        state: [alert_notices::SENT, alert_notices::WAITING, alert_notices::GIVEN_UP][if rare(number) { number / 100 % 2 + 1 } else { 0 }]
            .to_owned(),
        attempt: 1,
        due_at_ms: if rare(number) { now - 1_000_000_000 } else { now - number as i64 },
        created_at_ms: now,
        last_error: None,
    };
    fill::<alert_notices::Entity>(db, (0..VIDEOS).map(notice).collect()).await;
}

#[tokio::test]
async fn every_list_and_queue_query_uses_an_index() {
    let (own, folder) = (OwnDatabase::create().await, tempfile::tempdir().expect("a folder"));
    let db = own.open(folder.path()).await;
    let (user, video) = in_use(&db).await;
    let backend = db.get_database_backend();
    let (explain, bad): (&str, &[&str]) = match backend {
        DbBackend::Sqlite => ("EXPLAIN QUERY PLAN", &["SCAN", "TEMP B-TREE"]),
        _ => {
            db.execute_unprepared("VACUUM (ANALYZE)").await.expect("looked at");
            // It may prefer to sort the few rows that an index found.
            ("EXPLAIN", &["Seq Scan"])
        }
    };
    let mut wrong = Vec::new();
    for (name, mut question) in questions(backend, user, video.id, &video.playback_id) {
        assert!(!question.sql.contains("OFFSET"), "{name}: pages follow a key");
        question.sql = format!("{explain} {}", question.sql);
        let rows = db.query_all_raw(question).await.expect("a plan");
        let column = if backend == DbBackend::Sqlite { "detail" } else { "QUERY PLAN" };
        let plan: Vec<String> = rows.iter().map(|row| row.try_get("", column).expect("a line")).collect();
        let plan = plan.join("\n  ");
        if !plan.to_uppercase().contains("INDEX") || bad.iter().any(|bad| plan.contains(bad)) {
            wrong.push(format!("{name}:\n  {plan}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// However many one account has in line, nobody reads them all to find the next one, or the last.
#[tokio::test]
async fn a_long_queue_is_not_read_to_its_end() {
    let (own, folder) = (OwnDatabase::create().await, tempfile::tempdir().expect("a folder"));
    let db = own.open(folder.path()).await;
    let (user, _) = in_use(&db).await;
    let many = jobs::Entity::update_many()
        .col_expr(jobs::Column::State, Expr::value(JobState::Queued.as_str()))
        .col_expr(jobs::Column::UserId, Expr::value(user))
        .filter(jobs::Column::Turn.lt(500));
    assert_eq!(many.exec(&db).await.expect("put in line").rows_affected, 500);
    let backend = db.get_database_backend();
    let explain = match backend {
        DbBackend::Sqlite => "EXPLAIN QUERY PLAN",
        _ => {
            db.execute_unprepared("VACUUM (ANALYZE)").await.expect("looked at");
            "EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF)"
        }
    };
    for (mut question, index) in
        [(leases::due_query(now_ms()).build(backend), "jobs_by_turn"), (leases::last_of_query(UserId(user)).build(backend), "jobs_by_user")]
    {
        question.sql = format!("{explain} {}", question.sql);
        let rows = db.query_all_raw(question).await.expect("a plan");
        let column = if backend == DbBackend::Sqlite { "detail" } else { "QUERY PLAN" };
        let plan: Vec<String> = rows.iter().map(|row| row.try_get("", column).expect("a line")).collect();
        assert!(plan.iter().any(|line| line.contains(index)), "{plan:#?}");
        // In the order of the index, so that the first row is the answer.
        assert!(plan.iter().all(|line| !line.contains("TEMP B-TREE") && !line.contains("Sort") && !line.contains("Removed")), "{plan:#?}");
        let read = plan.iter().filter_map(|line| line.split_once("actual rows=")?.1.split([' ', '.']).next()?.parse::<u64>().ok());
        assert!(read.clone().all(|rows| rows == 1) && (backend == DbBackend::Sqlite || read.count() > 1), "{plan:#?}");
    }
}

/// An offset reads and throws away all that it skips.
#[test]
fn no_query_skips_by_counting() {
    let mut open = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                open.push(entry.path());
                continue;
            }
            if entry.path().extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(entry.path()).expect("a source file");
                let skips = text.contains("sea_orm") && (text.contains(".offset(") || text.contains(".paginate("));
                assert!(!skips, "{}", entry.path().display());
            }
        }
    }
}
