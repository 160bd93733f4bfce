//! The people of a server: invitations, roles, disabling and deleting, and the sessions of an account.

use axum::http::StatusCode;
use domain::{
    account::{Role, Scope},
    error::Problem,
    ids::UserId,
};
use sea_orm::{EntityTrait, PaginatorTrait};
use server::{
    db::entity::{removals, users, videos},
    services::audit_log::Actor,
};

use crate::{
    accounts::{HERE, cookie, send, sign_up, with_sessions},
    app::{App, files_below, noise},
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
    // A session that was on its way in when the door shut.
    let late = cookie(&send(&router, "/sign-in", None, bob.user.to_string()).await.1.expect("a cookie"));
    assert_eq!(send(&router, "/whoami", Some(&late), String::new()).await.0, StatusCode::UNAUTHORIZED);
    app.state.users.enable(owner, bob.user).await.expect("enabled");
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

#[tokio::test]
async fn the_event_stream_ends_with_the_key_that_opened_it() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let made = app.state.api_keys.create(ada.user, "pages", Scope::Read).await.expect("made");
    let reader = crate::app::Somebody { user: ada.user, key: made.secret };
    let begun = std::time::Instant::now();
    let (answer, ()) = tokio::join!(app.get(Some(&reader), "/api/v1/events"), async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        app.state.api_keys.revoke(ada.user, made.key.id).await.expect("revoked");
    });
    assert_eq!(answer.status, StatusCode::OK);
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
}
