//! Several at the accounts at once, as two processes on one database: owners against each other, one invitation for two, one password
//! changed twice. Nobody's turn comes before all of them wait for theirs.

use domain::{account::Role, error::Problem};
use futures::future::join_all;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect};
use server::{
    db::{
        begin_write,
        entity::{invites, turns, users},
    },
    services::{audit_log::Actor, users::Users},
};

use super::races::somebody_waits;
use crate::{
    accounts::sign_up,
    app::{App, Somebody},
};

/// What an owner does to another.
const DEEDS: [&str; 3] = ["demote", "disable", "delete"];

async fn act(users: Users, deed: &str, actor: Actor, on: &Somebody) -> server::error::Result<()> {
    match deed {
        "demote" => users.set_role(actor, on.user, Role::Member).await,
        "disable" => users.disable(actor, on.user).await,
        _ => users.delete(actor, on.user).await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_owners_who_act_on_each_other_at_once_one_stays() {
    for deed in DEEDS {
        let app = App::start().await;
        let other = app.other_process().await;
        let (ada, bob) = (app.somebody("ada@example.com").await, app.somebody("bob@example.com").await);
        app.state.users.set_role(Actor::from(ada.user), bob.user, Role::Owner).await.expect("promoted");
        let turn = begin_write(&app.db).await.expect("begun");
        turns::Entity::first_owner().one(&turn).await.expect("asked").expect("there is a turn");
        let one = tokio::spawn({
            let (users, bob) = (app.state.users.clone(), bob.clone());
            async move { act(users, deed, Actor::from(ada.user), &bob).await }
        });
        let two = tokio::spawn({
            let (users, ada) = (other.state.users.clone(), ada.clone());
            async move { act(users, deed, Actor::from(bob.user), &ada).await }
        });
        somebody_waits(&other.db, 2).await;
        turn.commit().await.expect("committed");
        let (one, two) = (one.await.expect("no panic"), two.await.expect("no panic"));
        assert!(one.is_ok() != two.is_ok(), "{deed}: {one:?} {two:?}");
        let refused = Problem::from(one.and(two).expect_err("one of them"));
        let expected = if deed == "demote" { "forbidden" } else { "unauthenticated" };
        assert_eq!(refused.code.as_str(), expected, "{deed}");
        let owners = users::Entity::find().filter(users::Column::Role.eq("owner")).filter(users::Column::DisabledAtMs.is_null());
        assert_eq!(owners.count(&app.db).await.expect("counted"), 1, "{deed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_come_with_one_invitation_one_is_let_in() {
    let app = App::with(&[("MILLRACE_REGISTRATION", "invite")]).await;
    let other = app.other_process().await;
    let boss = app.somebody("boss@example.com").await;
    let link = app.state.invites.create(Actor::from(boss.user), "Bob").await.expect("made").link;
    let secret = link.split_once("?invite=").expect("a secret").1.to_owned();
    // Those who wait may hold every connection of their pools.
    let onlooker = app.other_process().await;
    let turn = begin_write(&app.db).await.expect("begun");
    turns::Entity::first_owner().one(&turn).await.expect("asked").expect("there is a turn");
    let tries: Vec<_> = (0..4)
        .map(|number| {
            let accounts = if number % 2 == 0 { &app } else { &other }.state.accounts.clone();
            let secret = secret.clone();
            tokio::spawn(async move { sign_up(&accounts, &format!("bob{number}@example.com"), Some(&secret)).await })
        })
        .collect();
    somebody_waits(&onlooker.db, 4).await;
    turn.commit().await.expect("committed");
    let tries: Vec<_> = join_all(tries).await.into_iter().map(|tried| tried.expect("no panic")).collect();
    assert_eq!(tries.iter().filter(|tried| tried.is_ok()).count(), 1, "{tries:?}");
    assert_eq!(users::Entity::find().count(&app.db).await.expect("counted"), 2);
    assert_eq!(invites::Entity::find().count(&app.db).await.expect("counted"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_who_change_one_password_at_once_the_second_is_told_that_it_was_wrong() {
    let app = App::start().await;
    let other = app.other_process().await;
    let ada = app.somebody("ada@example.com").await;
    let held = begin_write(&app.db).await.expect("begun");
    users::Entity::find_by_id(ada.user.0).lock_exclusive().one(&held).await.expect("asked").expect("there");
    let tries = [("one password", &app), ("another password", &other)].map(|(new, process)| {
        let accounts = process.state.accounts.clone();
        tokio::spawn(async move { accounts.change_password(ada.user, "a good password", new, None).await })
    });
    somebody_waits(&other.db, 2).await;
    held.commit().await.expect("committed");
    let tries: Vec<_> = join_all(tries).await.into_iter().map(|tried| tried.expect("no panic")).collect();
    assert_eq!(tries.iter().filter(|tried| tried.is_ok()).count(), 1, "{tries:?}");
    let refused = tries.into_iter().find_map(Result::err).expect("one of them");
    assert_eq!(Problem::from(refused).detail, "The current password is wrong.");
}
