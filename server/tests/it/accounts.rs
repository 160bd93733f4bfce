//! Accounts, sessions and API keys.

use axum::{
    Extension, Router,
    body::Body,
    http::{Method, Request, StatusCode, header},
    routing::post,
};
use domain::{
    account::{Account, Scope},
    ids::UserId,
};
use sea_orm::{DatabaseConnection, EntityTrait};
use server::{
    config::Settings,
    db::entity::users,
    http::{AppState, api_routes, session, viewer::Viewer},
    services::accounts::{Accounts, SignUp},
};
use std::net::IpAddr;
use tower::ServiceExt;

use crate::{app::App, database::own::everything};

/// Signs up as a visitor does, with an invitation where there is one.
pub(crate) async fn sign_up(accounts: &Accounts, email: &str, invite: Option<&str>) -> server::error::Result<Account> {
    let admitted = accounts.sign_up(SignUp { email, password: "a good password", invite, address: Some(HERE) }).await?;
    Ok(admitted.account)
}

pub(crate) const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[tokio::test]
async fn the_first_visitor_owns_the_server_and_then_the_door_is_shut() {
    let app = App::start().await;
    let accounts = &app.state.accounts;
    assert!(accounts.registration_open().await.expect("asked") && !accounts.has_owner().await.expect("asked"));
    // Of several first visitors at once, exactly one becomes the owner.
    let emails: Vec<String> = (0..4).map(|n| format!("first{n}@example.com")).collect();
    let tries = futures::future::join_all(emails.iter().map(|email| sign_up(accounts, email, None))).await;
    assert_eq!(tries.iter().filter(|tried| tried.is_ok()).count(), 1);
    assert!(!accounts.registration_open().await.expect("asked"));
    let refused = domain::error::Problem::from(sign_up(accounts, "late@example.com", None).await.expect_err("shut"));
    assert_eq!(refused.code.as_str(), "registration_closed");

    let open = App::with(&[("MILLRACE_REGISTRATION", "open")]).await;
    sign_up(&open.state.accounts, "one@example.com", None).await.expect("open");
    sign_up(&open.state.accounts, "two@example.com", None).await.expect("open");
    let taken = sign_up(&open.state.accounts, "ONE@example.com", None).await.expect_err("taken");
    assert_eq!(domain::error::Problem::from(taken).code.as_str(), "email_taken");
}

#[tokio::test]
async fn signing_in_tells_nobody_who_has_an_account_and_gets_slower() {
    let app = App::start().await;
    app.somebody("ada@example.com").await;
    let accounts = &app.state.accounts;
    let fail = async |email: &str, password: &str, from: IpAddr| {
        domain::error::Problem::from(accounts.sign_in(email, password, from).await.expect_err("wrong"))
    };
    assert_eq!(fail("ada@example.com", "wrong", HERE).await, fail("nobody@example.com", "wrong", HERE).await);
    assert!(accounts.sign_in(" ADA@example.com", "a good password", HERE).await.is_ok());
    let mut last = fail("ada@example.com", "wrong", HERE).await;
    for _ in 0..10 {
        last = fail("ada@example.com", "wrong", HERE).await;
    }
    assert_eq!(last.code.as_str(), "rate_limited");
    assert!(last.retry_after_seconds.is_some_and(|seconds| seconds > 0));
    // A stranger's tries lock nobody else out.
    let elsewhere = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
    assert!(accounts.sign_in("ada@example.com", "a good password", elsewhere).await.is_ok());
}

/// A server with a route that signs in, as the pages' server function does.
pub(crate) fn with_sessions(app: &App, settings: &Settings) -> Router {
    async fn sign_in(Extension(db): Extension<DatabaseConnection>, session: session::Session, who: String) -> String {
        // The epoch that was read with the password, or the one that is now.
        let (user, epoch) = who.split_once(' ').map_or((who.as_str(), None), |(user, epoch)| (user, epoch.parse().ok()));
        let user: UserId = user.parse().expect("an id");
        let now = users::Entity::find_by_id(user.0).one(&db).await.expect("asked").expect("an account").session_epoch;
        let opened = session::Opened::now("Firefox/140.0 (X11; Linux)", HERE);
        session::sign_in(&session, user, epoch.unwrap_or(now), opened).await.expect("signed in");
        String::new()
    }
    async fn whoami(viewer: Viewer, session: session::Session) -> String {
        format!("{} {}", viewer.user, session.id().map(|id| id.to_string()).unwrap_or_default())
    }
    async fn renew(session: session::Session, epoch: String) {
        session::renew(&session, epoch.parse().expect("a number")).await.expect("renewed");
    }
    async fn sign_out(session: session::Session) {
        session::sign_out(&session).await.expect("signed out");
    }
    api_routes::<AppState>()
        .route("/sign-in", post(sign_in))
        .route("/renew", post(renew))
        .route("/sign-out", post(sign_out))
        .route("/whoami", post(whoami))
        .layer(Extension(app.db.clone()))
        .layer(session::layer(app.db.clone(), settings))
        .with_state(app.state.clone())
}

pub(crate) async fn send(router: &Router, path: &str, cookie: Option<&str>, body: String) -> (StatusCode, Option<String>, String) {
    let mut request = Request::builder().method(Method::POST).uri(path);
    if let Some(cookie) = cookie {
        request = request.header(header::COOKIE, cookie);
    }
    let response = router.clone().oneshot(request.body(Body::from(body)).expect("a request")).await.expect("an answer");
    let set = response.headers().get(header::SET_COOKIE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a body");
    (status, set, String::from_utf8_lossy(&body).into_owned())
}

pub(crate) fn cookie(set: &str) -> String {
    set.split(';').next().expect("a cookie").to_owned()
}

#[tokio::test]
async fn a_session_survives_a_restart_and_its_id_changes_at_sign_in() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let router = with_sessions(&app, &app.state.settings);
    let (_, set, _) = send(&router, "/sign-in", None, ada.user.to_string()).await;
    let set = set.expect("a cookie");
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Path=/") && !set.contains("Secure"), "{set}");
    let first = cookie(&set);
    let (_, again, _) = send(&router, "/sign-in", Some(&first), ada.user.to_string()).await;
    let second = cookie(&again.expect("a new cookie"));
    assert_ne!(first, second, "signing in changes the id");
    assert_eq!(send(&router, "/whoami", Some(&first), String::new()).await.0, StatusCode::UNAUTHORIZED);
    // A new layer over the same database is what a restart is.
    let restarted = with_sessions(&app, &app.state.settings);
    let (status, _, body) = send(&restarted, "/whoami", Some(&second), String::new()).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.starts_with(&ada.user.to_string()));
    send(&restarted, "/sign-out", Some(&second), String::new()).await;
    assert_eq!(send(&restarted, "/whoami", Some(&second), String::new()).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let router = with_sessions(&app, &app.state.settings);
    let sign_in = async || cookie(&send(&router, "/sign-in", None, ada.user.to_string()).await.1.expect("a cookie"));
    let (mine, other) = (sign_in().await, sign_in().await);
    let (_, _, body) = send(&router, "/whoami", Some(&mine), String::new()).await;
    let id = body.split(' ').nth(1).expect("the session's id").to_owned();
    let accounts = &app.state.accounts;
    assert!(accounts.change_password(ada.user, "wrong", "another password", Some(&id)).await.is_err());
    accounts.change_password(ada.user, "a good password", "another password", Some(&id)).await.expect("changed");
    assert_eq!(send(&router, "/whoami", Some(&mine), String::new()).await.0, StatusCode::OK);
    assert_eq!(send(&router, "/whoami", Some(&other), String::new()).await.0, StatusCode::UNAUTHORIZED);
    assert!(accounts.sign_in("ada@example.com", "a good password", HERE).await.is_err());
    assert!(accounts.sign_in("ada@example.com", "another password", HERE).await.is_ok());
}

/// A password that was right when it was looked at, and a session that is opened only after all of them have been ended.
#[tokio::test]
async fn a_session_that_was_being_opened_when_all_were_ended_never_stands() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let router = with_sessions(&app, &app.state.settings);
    let accounts = &app.state.accounts;
    let mine = cookie(&send(&router, "/sign-in", None, ada.user.to_string()).await.1.expect("a cookie"));
    let id = send(&router, "/whoami", Some(&mine), String::new()).await.2.split(' ').nth(1).expect("the session's id").to_owned();
    let before = accounts.sign_in("ada@example.com", "a good password", HERE).await.expect("in");
    let epoch = accounts.change_password(ada.user, "a good password", "another password", Some(&id)).await.expect("changed");
    let opened = async |epoch: i64| cookie(&send(&router, "/sign-in", None, format!("{} {epoch}", ada.user)).await.1.expect("a cookie"));
    let known = async |cookie: &str| send(&router, "/whoami", Some(cookie), String::new()).await.0 == StatusCode::OK;
    let late = opened(before.session_epoch).await;
    assert!(!known(&late).await && known(&mine).await);
    let listed = app.state.sessions.list(ada.user, &id).await.expect("listed");
    assert_eq!(listed.len(), 1, "what lets nobody in is not listed: {listed:?}");
    // The one that goes on does so under a new id.
    let renewed = cookie(&send(&router, "/renew", Some(&mine), epoch.to_string()).await.1.expect("a cookie"));
    assert!(known(&renewed).await && !known(&mine).await);

    let after = accounts.sign_in("ada@example.com", "another password", HERE).await.expect("in").session_epoch;
    assert_eq!(after, epoch);
    app.state.sessions.end_all(ada.user.into()).await.expect("ended");
    let late = opened(after).await;
    assert!(!known(&late).await && !known(&renewed).await, "signed out everywhere is everywhere");
    // Not even whoever changes the password from an ended session keeps it.
    let gone = accounts.change_password(ada.user, "another password", "a third password", Some(&id)).await;
    assert_eq!(domain::error::Problem::from(gone.expect_err("ended")).code.as_str(), "unauthenticated");
    assert!(accounts.sign_in("ada@example.com", "another password", HERE).await.is_ok(), "and nothing has changed");

    let now = accounts.sign_in("ada@example.com", "another password", HERE).await.expect("in").session_epoch;
    let open = opened(now).await;
    accounts.set_password("ada@example.com", "the operator's choice").await.expect("set");
    assert!(!known(&open).await, "a password set on the command line ends all of them");
}

#[tokio::test]
async fn the_name_of_the_scheme_of_a_key_may_be_in_any_case() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let headers = [("authorization", format!("{scheme} {}", ada.key))];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = app.ask(None, Method::GET, &format!("/api/status?videoId={}", uuid::Uuid::now_v7()), &headers, Body::empty()).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{scheme}: known, and the video is not there");
    }
}

#[tokio::test]
async fn behind_https_the_cookie_is_bound_to_the_host() {
    let app = App::with(&[("MILLRACE_PUBLIC_URL", "https://video.example.com")]).await;
    let ada = app.somebody("ada@example.com").await;
    let (_, set, _) = send(&with_sessions(&app, &app.state.settings), "/sign-in", None, ada.user.to_string()).await;
    let set = set.expect("a cookie");
    assert!(set.starts_with("__Host-millrace=") && set.contains("Secure"), "{set}");
}

#[tokio::test]
async fn a_key_works_until_it_is_revoked_and_is_stored_hashed() {
    let app = App::start().await;
    let (ada, bob) = (app.somebody("ada@example.com").await, app.somebody("bob@example.com").await);
    let made = app.state.api_keys.create(ada.user, "laptop", Scope::Upload).await.expect("made");
    assert!(made.secret.starts_with(&made.key.prefix) && made.secret.len() > 40);
    let holder = app.state.api_keys.recognise(&made.secret).await.expect("asked").expect("known");
    assert_eq!((holder.user, holder.key, holder.scope), (ada.user, made.key.id, Scope::Upload));
    assert!(app.state.api_keys.revoke(bob.user, made.key.id).await.is_err(), "somebody else's key is not there");
    let listed = app.state.api_keys.list(ada.user).await.expect("listed");
    assert!(listed.iter().any(|key| key.id == made.key.id && key.last_used_at_ms.is_some()));
    app.state.api_keys.revoke(ada.user, made.key.id).await.expect("revoked");
    assert_eq!(app.state.api_keys.recognise(&made.secret).await.expect("asked"), None);
    let stored = everything(&app.db, app.folder.path()).await;
    let holds = |text: &[u8]| stored.windows(text.len()).any(|window| window == text);
    assert!(holds(b"ada@example.com"), "this is where it would be");
    for secret in [made.secret.as_bytes(), b"a good password"] {
        assert!(!holds(secret), "a secret in the database");
    }
}
