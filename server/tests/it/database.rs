//! What the two databases promise: a schema that several processes may bring up to date at once, settings of connections, and queries that
//! find their way by an index.

use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait, PaginatorTrait};
use sea_orm_migration::MigratorTrait;
use server::{
    config::Registration,
    db,
    db::{
        begin_write,
        entity::{turns, users},
    },
    services::accounts::Accounts,
};

use self::own::{OwnDatabase, ask, postgres};
use crate::app::App;

mod notices;
pub(crate) mod own;
mod people;
mod plans;
mod races;
pub(crate) mod seed;
mod titles;
mod tls;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_processes_may_bring_the_schema_up_to_date_at_once() {
    let (own, folder) = (OwnDatabase::create().await, tempfile::tempdir().expect("a folder"));
    let starts = (0..6).map(|_| {
        let (settings, folder) = (own.settings(), folder.path().to_owned());
        tokio::spawn(async move { db::open(&settings, &folder).await })
    });
    let opened: Vec<DatabaseConnection> =
        futures::future::join_all(starts).await.into_iter().map(|started| started.expect("no panic").expect("opened")).collect();
    for db in &opened {
        assert_eq!(users::Entity::find().count(db).await.expect("the schema is there"), 0);
    }
    let versions = ask(&opened[0], "SELECT CAST(COUNT(*) AS TEXT) FROM seaql_migrations").await;
    assert_eq!(versions, [db::migration::Migrator::migrations().len().to_string()], "each migration ran once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_first_visitors_one_becomes_the_owner() {
    let (own, folder) = (OwnDatabase::create().await, tempfile::tempdir().expect("a folder"));
    let processes = [own.open(folder.path()).await, own.open(folder.path()).await];
    // Those who wait may hold every connection of their pools.
    let onlooker = own.open(folder.path()).await;
    // Nobody's turn ends before several wait for theirs: all of them have seen that there is no owner yet.
    let somebody = begin_write(&processes[0]).await.expect("begun");
    turns::Entity::first_owner().one(&somebody).await.expect("asked").expect("there is a turn");
    let tries = (0..8).map(|number| {
        let accounts = Accounts::new(processes[number % 2].clone(), Registration::Closed);
        tokio::spawn(async move { crate::accounts::sign_up(&accounts, &format!("first{number}@example.com"), None).await })
    });
    let tries: Vec<_> = tries.collect();
    races::somebody_waits(&onlooker, 4).await;
    somebody.commit().await.expect("committed");
    let tries = futures::future::join_all(tries).await;
    let refused: Vec<_> = tries.into_iter().filter_map(|tried| tried.expect("no panic").err()).collect();
    assert_eq!(refused.len(), 7);
    for error in refused {
        assert_eq!(domain::error::Problem::from(error).code.as_str(), "registration_closed");
    }
    assert_eq!(users::Entity::find().count(&processes[0]).await.expect("counted"), 1);
}

/// An installation from before there were roles: its first account becomes the owner's, and its keys may do what they could.
#[tokio::test]
async fn the_oldest_account_becomes_the_owner_and_old_keys_keep_their_rights() {
    let (own, folder) = (OwnDatabase::create().await, tempfile::tempdir().expect("a folder"));
    let db = db::connect(&own.settings(), folder.path()).await.expect("connected");
    let before = begin_write(&db).await.expect("begun");
    db::migration::Migrator::up(&before, Some(3)).await.expect("as it was");
    before.commit().await.expect("committed");
    let ids: Vec<uuid::Uuid> = (0..3).map(|_| uuid::Uuid::now_v7()).collect();
    let literal = |id: &uuid::Uuid| match db.get_database_backend() {
        sea_orm::DbBackend::Sqlite => format!("X'{}'", id.simple()),
        _ => format!("'{id}'"),
    };
    // The oldest last: the order of rows says nothing.
    for (number, id) in ids.iter().enumerate().rev() {
        let id = literal(id);
        let user = format!("INSERT INTO users VALUES ({id}, 'u{number}@example.com', '', '2026-11-22 00:00:00+00:00')");
        let key = format!("INSERT INTO api_keys VALUES ({id}, {id}, 'old', 'mr_', 'hash{number}', 0, NULL)");
        for statement in [user, key] {
            db.execute_unprepared(&statement).await.expect("written");
        }
    }
    let db = own.open(folder.path()).await;
    assert_eq!(
        ask(&db, "SELECT email || ' ' || role FROM users ORDER BY email").await,
        ["u0@example.com owner", "u1@example.com member", "u2@example.com member"]
    );
    assert_eq!(ask(&db, "SELECT DISTINCT scope FROM api_keys").await, ["manage"]);
    let read = users::Entity::find_by_id(ids[0]).one(&db).await.expect("read").expect("there");
    assert_eq!((read.disabled_at_ms, read.leaving_at_ms), (None, None));
}

/// The connection's settings, on PostgreSQL; SQLite has none of these.
#[tokio::test]
async fn statements_have_a_time_limit_and_connections_a_name() {
    if postgres().is_none() {
        return;
    }
    let (own, folder) = (OwnDatabase::create().await, tempfile::tempdir().expect("a folder"));
    let db = own.open(folder.path()).await;
    for (setting, value) in
        [("statement_timeout", "30s"), ("idle_in_transaction_session_timeout", "1min"), ("application_name", "millrace")]
    {
        assert_eq!(ask(&db, &format!("SHOW {setting}")).await, [value], "{setting}");
    }
    let mut settings = own.settings();
    settings.statement_timeout_seconds = 1;
    let hasty = db::connect(&settings, folder.path()).await.expect("connected");
    let error = hasty.execute_unprepared("SELECT pg_sleep(30)").await.expect_err("too long").to_string();
    assert!(error.contains("statement timeout"), "{error}");
    settings.statement_timeout_seconds = 0;
    settings.url = own.url().replacen("postgres://", "postgresql://", 1).into();
    let patient = db::connect(&settings, folder.path()).await.expect("the other spelling of the scheme");
    assert_eq!(ask(&patient, "SHOW statement_timeout").await, ["0"], "what the server says, for poolers that take no such option");
}

/// The connection's settings, on SQLite.
#[tokio::test]
async fn a_sqlite_commit_survives_a_power_cut() {
    if postgres().is_some() {
        return;
    }
    let (own, folder) = (OwnDatabase::create().await, tempfile::tempdir().expect("a folder"));
    let db = own.open(folder.path()).await;
    assert_eq!(ask(&db, "SELECT journal_mode FROM pragma_journal_mode").await, ["wal"]);
    assert_eq!(ask(&db, "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous").await, ["2"], "FULL");
    assert_eq!(
        ask(&db::unsynced(&db), "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous").await,
        ["1"],
        "what may be undone by it"
    );
    assert_eq!(ask(&db, "SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys").await, ["1"]);
}

/// PostgreSQL refuses a NUL in a text, SQLite does not: neither may make a request fail.
#[tokio::test]
async fn a_nul_in_a_text_does_no_harm() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let video = app.upload(&ada, "a\0b.mp4", &crate::app::noise(10)).await;
    let found = app.state.videos.page(ada.user, Some("A\0b"), None, 10).await.expect("a page").videos;
    assert_eq!(found.iter().map(|video| (video.title.as_str(), video.file_name.as_str())).collect::<Vec<_>>(), [("ab", "ab.mp4")]);
    app.state.videos.rename(ada.user, video.parse().expect("an id"), "c\0d").await.expect("renamed");
    let lease = server::services::jobs::Jobs::new(app.db.clone(), "worker".into()).claim().await.expect("asked").expect("its job");
    let noted = server::services::jobs::retry_later(&lease, "ffmpeg said \0");
    assert_eq!(server::services::jobs::hold(&app.db, &lease, &noted).await.expect("noted"), server::services::jobs::Held::Yes);
    assert!(app.state.accounts.sign_in("a\0@example.com", "x", std::net::Ipv4Addr::LOCALHOST.into()).await.is_err());
    let answer = app.get(Some(&ada), "/api/status?videoId=%00").await;
    assert!(answer.status.is_client_error(), "{}", answer.text());
}

/// A wrong address is said without its password.
#[tokio::test]
async fn an_address_that_cannot_be_read_keeps_its_password_to_itself() {
    let (mut settings, folder) = (OwnDatabase::create().await.settings(), tempfile::tempdir().expect("a folder"));
    for url in ["postgres://ada:se/cret-word@localhost/db", "postgres://ada:secret-word@local host:x/db"] {
        settings.url = url.into();
        let error = db::connect(&settings, folder.path()).await.expect_err("no address").to_string();
        assert!(!error.contains("cret-word"), "{error}");
    }
}
