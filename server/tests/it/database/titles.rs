//! Search by title: both databases find what the titles hold, whatever is asked, near and far, and what they find stays in step with the
//! videos.

use domain::{
    ids::{UserId, VideoId},
    video::fold_title,
};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, QueryFilter, QueryOrder, sea_query::Expr};
use sea_orm_migration::MigratorTrait;
use server::{
    db,
    db::{
        begin_write,
        entity::{titles, users, videos},
        title_search::{LOOKED_THROUGH, Wanted, reach_statement},
    },
    services::audit_log::Actor,
};
use uuid::Uuid;

use super::{
    own::{OwnDatabase, ask, postgres},
    seed::{Lot, insert, literal},
};
use crate::app::{App, Somebody, noise};

async fn seed(db: &DatabaseConnection, who: &Somebody, number: u16, videos: u32) {
    let lot = Lot { user: who.user.0, number, videos };
    db.execute_unprepared(&insert(db.get_database_backend(), lot)).await.expect("written");
}

/// Titles that try an index: quotes, wildcards, other scripts, other planes, cases that change lengths, and what is shorter than a trigram.
const ODD: [&str; 12] = [
    "100% \"quoted\" 'n _under_ \\back\\",
    "ΟΔΟΣ ΟΔΟΣΑ",
    "İstanbul Straße",
    "Übung macht",
    "🦀🦀 crab 🎬",
    "Фильм о море",
    "日本語の動画",
    "a",
    "AND OR NOT NEAR(x)",
    "x* ^y -z +w",
    "e\u{301}te\u{301}",
    "ends with ab",
];

/// All of an account's titles, folded, newest first.
async fn all_of(db: &DatabaseConnection, user: UserId) -> Vec<(VideoId, String)> {
    let rows = videos::Entity::of(user.0).order_by_desc(videos::Column::Id).all(db).await.expect("read");
    rows.into_iter().map(|row| (VideoId(row.id), fold_title(&row.title))).collect()
}

/// All that a search finds, page by page.
async fn found(app: &App, user: UserId, search: &str, limit: u64) -> Vec<VideoId> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = app.state.videos.page(user, Some(search), after, limit).await.expect("a page");
        assert!(page.videos.len() as u64 <= limit);
        all.extend(page.videos.iter().map(|video| video.id));
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// The index and the rows say the same.
async fn in_step(db: &DatabaseConnection) {
    let rows = videos::Entity::find().order_by_asc(videos::Column::Id).all(db).await.expect("read");
    let known = titles::Entity::find().order_by_asc(titles::Column::VideoId).all(db).await.expect("read");
    let rows: Vec<_> = rows.into_iter().map(|row| (row.id, row.user_id, row.title_folded)).collect();
    let known: Vec<_> = known.into_iter().map(|row| (row.video_id, row.user_id, row.title_folded)).collect();
    assert_eq!(rows, known);
    if db.get_database_backend() == DbBackend::Sqlite {
        let check = "INSERT INTO titles_by_trigram (titles_by_trigram, rank) VALUES ('integrity-check', 1)";
        db.execute_unprepared(check).await.expect("a sound index");
    }
}

#[tokio::test]
async fn a_search_finds_what_titles_hold_and_nothing_else() {
    let app = App::start().await;
    let (ada, bob) = (app.somebody("ada@example.com").await, app.somebody("bob@example.com").await);
    for title in ODD {
        app.upload(&ada, &format!("{title}.mp4"), &noise(10)).await;
    }
    // Hers reach further than what is looked through one by one; his are among them in time.
    seed(&app.db, &ada, 1, u32::try_from(LOOKED_THROUGH).expect("few") + 1_500).await;
    seed(&app.db, &bob, 2, 500).await;
    for title in ODD {
        app.upload(&ada, &format!("{title}.mp4"), &noise(10)).await;
    }
    for who in [&ada, &bob] {
        let all = all_of(&app.db, who.user).await;
        let asked = [
            "harbour",
            "HARBOUR sun",
            "video 12",
            "video 999",
            "12 v",
            "o 4",
            "ο",
            "οδος",
            "ΟΔΟΣ",
            "σα",
            "straße",
            "İ",
            "i̇s",
            "%",
            "_",
            "\\",
            "\"",
            "'",
            "\"quoted\"",
            "% \"q",
            "'n _",
            "\\back\\",
            "🦀",
            "🦀🦀 c",
            "🎬",
            "море",
            "本語",
            "の動",
            "a",
            "ab",
            "AND",
            "OR NOT",
            "NEAR(",
            "x*",
            "^y -z +w",
            "e\u{301}",
            "zzz",
            "no such thing at all",
            " ",
            "harbour harbour harbour harbour",
        ];
        for search in asked {
            let folded = fold_title(search.trim());
            let expected: Vec<VideoId> = all.iter().filter(|(_, title)| title.contains(&folded)).map(|(id, _)| *id).collect();
            // Where there are many, the pages are long: a test has little time.
            let mut got = found(&app, who.user, search, if expected.len() > 60 { 100 } else { 7 }).await;
            // The odd ones came first and their ids are later than those of the others: within pages the order is by id.
            got.sort_by(|a, b| b.cmp(a));
            assert_eq!(got, expected, "{search:?}");
        }
    }
    in_step(&app.db).await;
}

#[tokio::test]
async fn what_is_searched_follows_what_happens_to_videos() {
    let app = App::start().await;
    let (ada, bob) = (app.somebody("ada@example.com").await, app.somebody("bob@example.com").await);
    let mut hers: Vec<VideoId> = Vec::new();
    for number in 0..4 {
        hers.push(app.upload(&ada, &format!("harbour {number}.mp4"), &noise(10)).await.parse().expect("an id"));
    }
    app.upload(&bob, "harbour.mp4", &noise(10)).await;
    let titles = async |search: &str, after| {
        let page = app.state.videos.page(ada.user, Some(search), after, 2).await.expect("a page");
        (page.videos.into_iter().map(|video| video.title).collect::<Vec<_>>(), page.next)
    };
    let (first, next) = titles("harbour", None).await;
    assert_eq!((first, next), (vec!["harbour 3".to_owned(), "harbour 2".to_owned()], Some(hers[2])));
    // The last video of the first page goes before the second is asked for.
    app.state.videos.delete(Actor::from(ada.user), hers[2]).await.expect("deleted");
    assert_eq!(titles("harbour", next).await, (vec!["harbour 1".to_owned(), "harbour 0".to_owned()], None));
    app.state.videos.rename(ada.user, hers[0], "Elsewhere").await.expect("renamed");
    assert_eq!(titles("harbour", next).await, (vec!["harbour 1".to_owned()], None));
    assert_eq!(titles("ELSE", None).await, (vec!["Elsewhere".to_owned()], None));
    in_step(&app.db).await;
    // The rows of an account go by its foreign keys alone.
    users::Entity::delete_by_id(ada.user.0).exec(&app.db).await.expect("gone");
    in_step(&app.db).await;
    assert_eq!(ask(&app.db, "SELECT title_folded FROM titles").await, ["harbour"]);
}

#[tokio::test]
async fn the_list_of_videos_is_searched_and_paged_by_the_api() {
    let app = App::start().await;
    let (ada, bob) = (app.somebody("ada@example.com").await, app.somebody("bob@example.com").await);
    for name in ["One harbour.mp4", "Two.mp4", "Three HARBOUR.mp4"] {
        app.upload(&ada, name, &noise(10)).await;
    }
    let titles = |answer: &serde_json::Value| -> Vec<String> {
        answer["videos"].as_array().expect("videos").iter().map(|video| video["title"].as_str().expect("a title").to_owned()).collect()
    };
    let all = app.get(Some(&ada), "/api/v1/videos").await.json();
    assert_eq!(titles(&all), ["Three HARBOUR", "Two", "One harbour"]);
    assert!(all.get("next").is_none());
    for query in ["", "q=harbour&"] {
        let first = app.get(Some(&ada), &format!("/api/v1/videos?{query}limit=1")).await.json();
        assert_eq!(titles(&first), ["Three HARBOUR"]);
        let next = first["next"].as_str().expect("a next page");
        let second = app.get(Some(&ada), &format!("/api/v1/videos?{query}limit=1&after={next}")).await.json();
        assert_eq!(titles(&second), [if query.is_empty() { "Two" } else { "One harbour" }]);
        assert!(titles(&app.get(Some(&bob), &format!("/api/v1/videos?{query}after={next}")).await.json()).is_empty());
    }
    assert!(titles(&app.get(Some(&ada), "/api/v1/videos?q=%25").await.json()).is_empty());
    for wrong in ["limit=0", "limit=101", "limit=x", "after=x", "q=a&q=b"] {
        assert_eq!(app.get(Some(&ada), &format!("/api/v1/videos?{wrong}")).await.code(), "invalid_input", "{wrong}");
    }
}

/// A database from before there was an index.
#[tokio::test]
async fn an_upgrade_fills_the_index() {
    let (own, folder) = (OwnDatabase::create().await, tempfile::tempdir().expect("a folder"));
    let db = db::connect(&own.settings(), folder.path()).await.expect("connected");
    let before = begin_write(&db).await.expect("begun");
    let names = db::migration::Migrator::migrations();
    let search = names.iter().position(|migration| migration.name().ends_with("title_search")).expect("its migration");
    db::migration::Migrator::up(&before, u32::try_from(search).ok()).await.expect("as it was");
    before.commit().await.expect("committed");
    let owners = [Uuid::now_v7(), Uuid::now_v7()];
    for (number, user) in (1..).zip(owners) {
        let literal = literal(db.get_database_backend(), user);
        let account = format!(
            "INSERT INTO users (id, email, password_hash, created_at) VALUES ({literal}, '{number}', '', '2026-11-22 00:00:00+00:00')"
        );
        db.execute_unprepared(&account).await.expect("written");
        let lot = Lot { user, number, videos: 30 };
        db.execute_unprepared(&insert(db.get_database_backend(), lot)).await.expect("written");
    }
    // As it was folded then.
    let old = videos::Entity::update_many().col_expr(videos::Column::TitleFolded, Expr::value("ὁδός"));
    old.filter(videos::Column::UserId.eq(owners[0])).exec(&db).await.expect("written");
    let db = own.open(folder.path()).await;
    in_step(&db).await;
    assert_eq!(ask(&db, "SELECT DISTINCT title_folded FROM titles WHERE title_folded LIKE '%ός%'").await, [""; 0]);
    assert_eq!(ask(&db, "SELECT DISTINCT title_folded FROM titles WHERE title_folded LIKE '%όσ%'").await, ["ὁδόσ"]);
    for user in owners {
        let highest: i64 = titles::Entity::newest_place(user).into_tuple().one(&db).await.expect("asked").expect("a place");
        let found =
            db::title_search::newest(&db, user, highest, if user == owners[0] { "όσ" } else { "video 2" }, 100).await.expect("found");
        assert_eq!(found.len(), if user == owners[0] { 30 } else { 11 });
    }
    // And back.
    let back = begin_write(&db).await.expect("begun");
    db::migration::Migrator::down(&back, u32::try_from(names.len() - search).ok()).await.expect("taken back");
    back.commit().await.expect("committed");
    assert_eq!(ask(&db, "SELECT CAST(COUNT(*) AS text) FROM videos").await, ["60"]);
}

/// PostgreSQL without its extensions: the search works, and is indexed from the first start on at which it can be.
#[tokio::test]
async fn without_an_extension_the_search_is_slower_and_finds_the_same() {
    if postgres().is_none() {
        return;
    }
    let (own, folder) = (OwnDatabase::create().await, tempfile::tempdir().expect("a folder"));
    let admin = db::connect(&own.settings(), folder.path()).await.expect("connected");
    // A role of the server's own that may create tables here and nothing else.
    admin.execute_unprepared("GRANT CREATE, USAGE ON SCHEMA public TO pg_monitor").await.expect("granted");
    let mut settings = own.settings();
    settings.url = format!("{}&options=-c%20role%3Dpg_monitor", own.url()).into();
    let db = db::open(&settings, folder.path()).await.expect("it starts all the same");
    let indexes = "SELECT indexdef FROM pg_indexes WHERE indexname = 'titles_by_trigram'";
    assert_eq!(ask(&db, indexes).await, [""; 0]);
    let user = Uuid::now_v7();
    db.execute_unprepared(&format!("INSERT INTO users (id, email, password_hash, created_at) VALUES ('{user}', 'a', '', now())"))
        .await
        .expect("written");
    let videos = u32::try_from(LOOKED_THROUGH).expect("few") + 100;
    db.execute_unprepared(&insert(DbBackend::Postgres, Lot { user, number: 1, videos })).await.expect("written");
    let find = async |text: &str| {
        let highest: i64 = titles::Entity::newest_place(user).into_tuple().one(&db).await.expect("asked").expect("a place");
        db::title_search::newest(&db, user, highest, text, 1_000).await.expect("found")
    };
    let before = [find("video 7").await, find("harbour").await, find("o 7").await];
    assert_eq!(before[0].len(), 111);
    // Somebody with more rights starts it, or has made the extensions.
    let again = own.open(folder.path()).await;
    let made = ask(&again, indexes).await;
    assert!(made.len() == 1 && made[0].contains("USING gin (user_id, title_folded gin_trgm_ops)"), "{made:?}");
    assert_eq!([find("video 7").await, find("harbour").await, find("o 7").await], before);
}

/// How what is asked is found: by the index, in its order, without the titles of others.
#[tokio::test]
async fn a_search_beyond_the_newest_titles_asks_the_index() {
    let app = App::start().await;
    let (ada, bob) = (app.somebody("ada@example.com").await, app.somebody("bob@example.com").await);
    seed(&app.db, &ada, 1, 20_000).await;
    seed(&app.db, &bob, 2, 6_000).await;
    let backend = app.db.get_database_backend();
    let explain = if backend == DbBackend::Sqlite { "EXPLAIN QUERY PLAN" } else { "EXPLAIN" };
    if backend == DbBackend::Postgres {
        app.db.execute_unprepared("VACUUM (ANALYZE)").await.expect("looked at");
    }
    let plan = async |mut question: sea_orm::Statement| {
        question.sql = format!("{explain} {}", question.sql);
        let column = if backend == DbBackend::Sqlite { "detail" } else { "QUERY PLAN" };
        let rows = app.db.query_all_raw(question).await.expect("a plan");
        rows.iter().map(|row| row.try_get::<String>("", column).expect("a line")).collect::<Vec<_>>().join("\n")
    };
    let highest: i64 = titles::Entity::newest_place(ada.user.0).into_tuple().one(&app.db).await.expect("asked").expect("a place");
    let far = |text| Wanted { user: ada.user.0, lowest: highest - 19_999, highest: highest - 5_000, text, limit: 25 };
    let near = plan(Wanted { lowest: highest - 4_999, highest, ..far("video") }.one_by_one(backend)).await;
    let (rare, short) = (plan(far("video 12345").by_index(backend)).await, plan(far("o").by_index(backend)).await);
    if backend == DbBackend::Sqlite {
        for by_place in [&near, &short] {
            assert!(by_place.contains("SEARCH titles USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"), "{by_place}");
        }
        assert!(
            rare.contains("SCAN titles_by_trigram VIRTUAL TABLE INDEX") && rare.contains("SEARCH titles USING INTEGER PRIMARY KEY"),
            "{rare}"
        );
        for plan in [near, rare, short] {
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    } else {
        let reach = plan(reach_statement(ada.user.0, highest)).await;
        for by_place in [&near, &short, &reach] {
            assert!(by_place.contains("titles_pkey") && !by_place.contains("Seq Scan"), "{by_place}");
        }
        assert!(rare.contains("Bitmap Index Scan on titles_by_trigram"), "{rare}");
    }
}
