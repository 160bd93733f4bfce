//! The people of a server: invitations, roles, disabling and deleting, and the sessions of an account.

use std::time::Duration;

use axum::http::StatusCode;
use domain::{
    account::{Role, Scope},
    error::Problem,
    ids::UserId,
};
use sea_orm::{EntityTrait, PaginatorTrait, sea_query::Expr};
use server::{
    db::entity::{invites, removals, users, videos},
    services::audit_log::Actor,
};

use crate::{
    accounts::{HERE, cookie, send, sign_up, with_sessions},
    app::{App, files_below, noise},
    grants::playing,
    workshop::eventually,
};

fn code<T: std::fmt::Debug>(result: server::error::Result<T>) -> String {
    Problem::from(result.expect_err("refused")).code.as_str().to_owned()
}

#[tokio::test]
async fn an_invitation_makes_one_account_once_and_can_be_withdrawn() {
    let app = App::start().await;
    let (accounts, invites) = (&app.state.accounts, &app.state.invites);
    let owner = Actor::from(sign_up(accounts, "ada@example.com", None).await.expect("the first").id);
    assert_eq!(code(sign_up(accounts, "eve@example.com", None).await), "registration_closed");
    let secret = |link: &str| link.split_once("?invite=").expect("a secret").1.to_owned();

    let link = secret(&invites.create(owner, "Bob").await.expect("made").link);
    assert!(invites.stands(&link).await.expect("asked") && !invites.stands("made up").await.expect("asked"));
    assert_eq!(invites.list(owner.user).await.expect("listed").len(), 1);
    // Of several who come with it at once, one is let in.
    let emails: Vec<String> = (0..4).map(|n| format!("bob{n}@example.com")).collect();
    let tries = futures::future::join_all(emails.iter().map(|email| sign_up(accounts, email, Some(&link)))).await;
    let let_in: Vec<_> = tries.into_iter().filter_map(Result::ok).collect();
    assert_eq!(let_in.len(), 1);
    assert_eq!(let_in[0].role, Role::Member);
    assert_eq!(code(sign_up(accounts, "eve@example.com", Some(&link)).await), "registration_closed");

    let withdrawn = invites.create(owner, "Carol").await.expect("made");
    invites.withdraw(owner, withdrawn.invite.id).await.expect("withdrawn");
    assert_eq!(code(sign_up(accounts, "carol@example.com", Some(&secret(&withdrawn.link))).await), "registration_closed");
    let member = Actor::from(let_in[0].id);
    assert_eq!(code(invites.create(member, "Eve").await), "forbidden");
    assert_eq!(code(invites.list(member.user).await), "forbidden");

    let closed = App::with(&[("MILLRACE_REGISTRATION", "closed")]).await;
    let owner = Actor::from(sign_up(&closed.state.accounts, "ada@example.com", None).await.expect("the first").id);
    assert_eq!(code(closed.state.invites.create(owner, "Bob").await), "registration_closed");
}

#[tokio::test]
async fn only_owners_manage_people_and_one_always_remains() {
    let app = App::start().await;
    let (ada, bob) = (app.somebody("ada@example.com").await, app.somebody("bob@example.com").await);
    let users = &app.state.users;
    let (owner, member) = (Actor::from(ada.user), Actor::from(bob.user));
    assert_eq!(code(users.page(bob.user, None).await), "forbidden");
    assert_eq!(code(users.set_role(member, bob.user, Role::Owner).await), "forbidden");
    assert_eq!(code(users.delete(member, ada.user).await), "forbidden");
    for refused in
        [users.set_role(owner, ada.user, Role::Member).await, users.disable(owner, ada.user).await, users.delete(owner, ada.user).await]
    {
        assert_eq!(code(refused), "conflict", "nobody acts on their own account");
    }
    users.set_role(owner, bob.user, Role::Owner).await.expect("promoted");
    // Two owners who shut each other out at once: one of them is left.
    let (first, second) = tokio::join!(users.disable(owner, bob.user), users.disable(member, ada.user));
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    assert_eq!(code(users.enable(owner, UserId(uuid::Uuid::now_v7())).await), if first.is_ok() { "not_found" } else { "unauthenticated" });
}

#[tokio::test]
async fn whoever_is_disabled_is_out_at_once_and_comes_back() {
    let app = App::start().await;
    let (ada, bob) = (app.somebody("ada@example.com").await, app.somebody("bob@example.com").await);
    let router = with_sessions(&app, &app.state.settings);
    let mine = cookie(&send(&router, "/sign-in", None, bob.user.to_string()).await.1.expect("a cookie"));
    let owner = Actor::from(ada.user);
    app.state.users.disable(owner, bob.user).await.expect("disabled");
    assert_eq!(send(&router, "/whoami", Some(&mine), String::new()).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(app.get(Some(&bob), "/api/v1/events").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(code(app.state.accounts.sign_in("bob@example.com", "a good password", HERE).await), "forbidden");
    assert_eq!(code(app.state.accounts.sign_in("bob@example.com", "wrong", HERE).await), "unauthenticated");
    // A session that was on its way in when the door shut, with the epoch from before.
    let late = cookie(&send(&router, "/sign-in", None, format!("{} 0", bob.user)).await.1.expect("a cookie"));
    assert_eq!(send(&router, "/whoami", Some(&late), String::new()).await.0, StatusCode::UNAUTHORIZED);
    app.state.users.enable(owner, bob.user).await.expect("enabled");
    assert_eq!(send(&router, "/whoami", Some(&late), String::new()).await.0, StatusCode::UNAUTHORIZED, "nor does it come in now");
    assert!(app.state.accounts.sign_in("bob@example.com", "a good password", HERE).await.is_ok());
    let nothing = format!("/api/status?videoId={}", uuid::Uuid::now_v7());
    assert_eq!(app.get(Some(&bob), &nothing).await.status, StatusCode::NOT_FOUND, "the key works again");
}

#[tokio::test]
async fn a_deleted_account_leaves_nothing_behind_also_when_interrupted() {
    let app = App::start().await;
    let (ada, bob) = (app.somebody("ada@example.com").await, app.somebody("bob@example.com").await);
    for number in 0..60 {
        app.upload(&bob, &format!("{number}.mp4"), &noise(10)).await;
    }
    app.begin(&bob, "half.mp4", 100).await;
    let hers = app.upload(&ada, "hers.mp4", &noise(10)).await;
    app.state.users.delete(Actor::from(ada.user), bob.user).await.expect("begun");
    // The first batch went; the process may end here.
    let left = videos::Entity::of(bob.user.0).count(&app.db).await.expect("counted");
    assert_eq!(left, 11);
    assert_eq!(app.get(Some(&bob), "/api/v1/events").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(code(app.state.users.enable(Actor::from(ada.user), bob.user).await), "not_found", "there is no way back");
    app.state.users.finish_leaving().await.expect("finished");
    app.removals().work_off().await.expect("worked off");
    assert_eq!(videos::Entity::of(bob.user.0).count(&app.db).await.expect("counted"), 0);
    assert_eq!(users::Entity::find().count(&app.db).await.expect("counted"), 1);
    assert_eq!(removals::Entity::find().count(&app.db).await.expect("counted"), 0);
    assert_eq!(app.status(&ada, &hers).await["videoId"], hers.as_str());
    let stored = files_below(&app.folder.path().join("store"));
    assert!(stored.len() <= 3, "one source is left: {stored:?}");
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one_or_all() {
    let app = App::start().await;
    let (ada, eve) = (app.somebody("ada@example.com").await, app.somebody("eve@example.com").await);
    let router = with_sessions(&app, &app.state.settings);
    let sign_in = async || cookie(&send(&router, "/sign-in", None, ada.user.to_string()).await.1.expect("a cookie"));
    let (mine, other) = (sign_in().await, sign_in().await);
    let answers = async |cookie: &str| send(&router, "/whoami", Some(cookie), String::new()).await;
    let id = answers(&mine).await.2.split(' ').nth(1).expect("the session's id").to_owned();
    let sessions = &app.state.sessions;
    let listed = sessions.list(ada.user, &id).await.expect("listed");
    assert_eq!(listed.iter().map(|session| session.current).collect::<Vec<_>>(), [true, false]);
    assert_eq!((listed[0].device.as_str(), listed[0].address.as_str()), ("Firefox on Linux", "127.0.0.1"));
    assert!(!listed[0].handle.contains(&id));

    assert_eq!(code(sessions.end(Actor::from(eve.user), &listed[1].handle).await), "not_found", "somebody else's session is not there");
    sessions.end(Actor::from(ada.user), &listed[1].handle).await.expect("ended");
    assert_eq!(answers(&other).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(answers(&mine).await.0, StatusCode::OK);
    sessions.end_all(Actor::from(ada.user)).await.expect("ended");
    assert_eq!(answers(&mine).await.0, StatusCode::UNAUTHORIZED);
}

/// Whoever has lost the right to invite has invited nobody, and what is a week old is over.
#[tokio::test]
async fn an_invitation_ends_with_its_week_and_with_the_right_of_who_made_it() {
    let app = App::start().await;
    let (ada, bob) = (app.somebody("ada@example.com").await, app.somebody("bob@example.com").await);
    let (owner, users, invites) = (Actor::from(ada.user), &app.state.users, &app.state.invites);
    let secret = |link: &str| link.split_once("?invite=").expect("a secret").1.to_owned();
    users.set_role(owner, bob.user, Role::Owner).await.expect("promoted");
    let link = secret(&invites.create(Actor::from(bob.user), "Eve").await.expect("made").link);
    assert!(invites.stands(&link).await.expect("asked"));
    users.set_role(owner, bob.user, Role::Member).await.expect("demoted");
    assert!(!invites.stands(&link).await.expect("asked") && invites.list(ada.user).await.expect("listed").is_empty());
    assert_eq!(code(sign_up(&app.state.accounts, "eve@example.com", Some(&link)).await), "registration_closed");
    users.set_role(owner, bob.user, Role::Owner).await.expect("promoted");
    users.disable(owner, bob.user).await.expect("disabled");
    assert!(!invites.stands(&link).await.expect("asked"));
    users.delete(owner, bob.user).await.expect("deleted");
    assert_eq!(invites::Entity::find().count(&app.db).await.expect("counted"), 0, "they go with who made them");

    let old = secret(&invites.create(owner, "Carol").await.expect("made").link);
    let over = Expr::value(server::clock::now_ms() - 1);
    invites::Entity::update_many().col_expr(invites::Column::ExpiresAtMs, over).exec(&app.db).await.expect("aged");
    assert!(!invites.stands(&old).await.expect("asked") && invites.list(ada.user).await.expect("listed").is_empty());
    assert_eq!(code(sign_up(&app.state.accounts, "carol@example.com", Some(&old)).await), "registration_closed");
    invites.forget_expired().await.expect("forgotten");
    assert_eq!(invites::Entity::find().count(&app.db).await.expect("counted"), 0);
}

/// A disabled account's videos play for nobody, by whatever they were shared with; enabled, they do again.
#[tokio::test]
async fn nothing_of_a_disabled_account_plays_until_it_is_enabled() {
    let mut app = App::start().await;
    let boss = Actor::from(app.somebody("boss@example.com").await.user);
    let hers = playing(&mut app).await;
    let elsewhere = app.other_process().await;
    elsewhere.state.private_media.load(&elsewhere.db).await.expect("loaded");
    let (follows, db) = (elsewhere.state.private_media.clone(), elsewhere.db.clone());
    let following = tokio::spawn(async move { follows.follow(&db).await });
    let playlists = format!("/hls/{}/index.m3u8", hers.token);
    let link = format!("/api/v1/playback/{}?grant={}", hers.playback_id, hers.link);
    let plays = async |app: &App, expected: [StatusCode; 3]| {
        for (path, expected) in [&link, &playlists, &hers.segment].into_iter().zip(expected) {
            // The other process looks every two seconds.
            while app.get(None, path).await.status != expected {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    let here = async |path: &str| app.get(None, path).await.status;
    let (open, shut) = ([StatusCode::OK; 3], [StatusCode::NOT_FOUND, StatusCode::NOT_FOUND, StatusCode::FORBIDDEN]);
    plays(&elsewhere, open).await;
    app.state.users.disable(boss, hers.who.user).await.expect("disabled");
    assert_eq!([here(&link).await, here(&playlists).await, here(&hers.segment).await], shut, "here at once");
    plays(&elsewhere, shut).await;
    let late = app.other_process().await;
    late.state.private_media.load(&late.db).await.expect("loaded");
    assert_eq!(late.get(None, &hers.segment).await.status, StatusCode::FORBIDDEN, "also in a process that starts later");
    app.state.users.enable(boss, hers.who.user).await.expect("enabled");
    assert_eq!([here(&link).await, here(&playlists).await, here(&hers.segment).await], open);
    plays(&elsewhere, open).await;
    app.state.users.delete(boss, hers.who.user).await.expect("deleted");
    for path in [&link, &playlists] {
        assert_ne!(here(path).await, StatusCode::OK, "{path}");
    }
    // Whoever deletes waits a moment for the bytes; where the disk takes longer, they go on going.
    eventually("no segment is there any more", async || here(&hers.segment).await != StatusCode::OK).await;
    following.abort();
}

/// Every request asks the database, so what ends in one process has ended in all.
#[tokio::test]
async fn keys_sessions_and_uploads_end_in_other_processes_too() {
    let app = App::start().await;
    let elsewhere = app.other_process().await;
    let (ada, bob) = (app.somebody("ada@example.com").await, app.somebody("bob@example.com").await);
    let nothing = format!("/api/status?videoId={}", uuid::Uuid::now_v7());
    let router = with_sessions(&elsewhere, &elsewhere.state.settings);
    let known = async |cookie: &str| send(&router, "/whoami", Some(cookie), String::new()).await.0 == StatusCode::OK;
    let sign_in = async || cookie(&send(&router, "/sign-in", None, bob.user.to_string()).await.1.expect("a cookie"));

    let key = app.state.api_keys.create(bob.user, "laptop", Scope::Manage).await.expect("made");
    let laptop = crate::app::Somebody { user: bob.user, key: key.secret };
    assert_eq!(elsewhere.get(Some(&laptop), &nothing).await.status, StatusCode::NOT_FOUND);
    app.state.api_keys.revoke(bob.user, key.key.id).await.expect("revoked");
    assert_eq!(elsewhere.get(Some(&laptop), &nothing).await.status, StatusCode::UNAUTHORIZED);

    let session = sign_in().await;
    assert!(known(&session).await);
    app.state.sessions.end_all(Actor::from(bob.user)).await.expect("ended");
    assert!(!known(&session).await);

    let (session, ticket) = (sign_in().await, elsewhere.begin(&bob, "half.mp4", 20).await);
    app.state.users.disable(Actor::from(ada.user), bob.user).await.expect("disabled");
    assert!(!known(&session).await);
    let part = elsewhere.put_part(&bob, &ticket, 1, crc32c::crc32c(&noise(20)), noise(20)).await;
    assert_eq!(part.status, StatusCode::UNAUTHORIZED, "not a byte more");
    assert_eq!(elsewhere.complete(&bob, &ticket).await.status, StatusCode::UNAUTHORIZED);
    app.state.users.enable(Actor::from(ada.user), bob.user).await.expect("enabled");
    assert!(!known(&session).await, "sessions do not come back");
    assert_eq!(elsewhere.get(Some(&bob), &nothing).await.status, StatusCode::NOT_FOUND, "keys do");
}

/// By whatever somebody was known when the stream began: when that ends, it does. That it ends at all is what is waited for.
#[tokio::test]
async fn an_event_stream_ends_with_what_opened_it() {
    let app = App::start().await;
    let elsewhere = app.other_process().await;
    let (ada, bob) = (app.somebody("ada@example.com").await, app.somebody("bob@example.com").await);
    let made = app.state.api_keys.create(ada.user, "pages", Scope::Read).await.expect("made");
    let reader = crate::app::Somebody { user: ada.user, key: made.secret };
    let router = with_sessions(&elsewhere, &elsewhere.state.settings);
    let mine = cookie(&send(&router, "/sign-in", None, ada.user.to_string()).await.1.expect("a cookie"));
    let opened = async |name: &'static str, right: String| {
        let request = axum::http::Request::get("/api/v1/events").header(name, right).body(axum::body::Body::empty());
        let answer = tower::ServiceExt::oneshot(router.clone(), request.expect("a request")).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        answer.into_body()
    };
    // All of them are open before anything ends.
    let by_key = opened("authorization", format!("Bearer {}", reader.key)).await;
    let by_session = opened("cookie", mine).await;
    let disabled = opened("authorization", format!("Bearer {}", bob.key)).await;
    app.state.api_keys.revoke(ada.user, made.key.id).await.expect("revoked");
    app.state.sessions.end_all(Actor::from(ada.user)).await.expect("ended");
    app.state.users.disable(Actor::from(ada.user), bob.user).await.expect("disabled");
    let read = async |stream: axum::body::Body| axum::body::to_bytes(stream, usize::MAX).await.expect("it ends");
    tokio::join!(read(by_key), read(by_session), read(disabled));
}
