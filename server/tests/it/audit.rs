//! The audit log: every act is in it, no secret is, only owners read it, and what is old goes.

use domain::{account::Scope, audit::AuditKind, error::Problem, video::Visibility};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, sea_query::Expr};
use server::{
    clock::now_ms,
    db::entity::audit_log,
    services::{audit_log::Actor, grants::NewGrant},
};

use crate::{
    accounts::{HERE, sign_up},
    app::{App, noise},
};

#[tokio::test]
async fn every_act_is_noted_with_who_and_where_and_without_a_secret() {
    let app = App::start().await;
    let accounts = &app.state.accounts;
    let ada = sign_up(accounts, "ada@example.com", None).await.expect("the first");
    let actor = Actor { user: ada.id, address: Some(HERE) };
    accounts.sign_in("ada@example.com", "a good password", HERE).await.expect("in");
    accounts.sign_in("ada@example.com", "hunter2-hunter2", HERE).await.expect_err("wrong");
    accounts.sign_in("hunter2-hunter2@example.com", "x", HERE).await.expect_err("unknown");
    accounts.change_password(actor, "a good password", "another password", None).await.expect("changed");
    let key = app.state.api_keys.create(actor, "laptop", Scope::Manage).await.expect("made");
    let somebody = crate::app::Somebody { user: ada.id, key: key.secret.clone() };
    let video = app.upload(&somebody, "Holiday.mp4", &noise(10)).await.parse().expect("an id");
    app.state.videos.set_visibility(actor, video, Visibility::Public).await.expect("set");
    app.state.videos.set_visibility(actor, video, Visibility::Public).await.expect("nothing changes");
    let new = NewGrant { name: "Grace", seconds: None, embed_hosts: "" };
    let grant = app.state.grants.create(actor, video, new).await.expect("made");
    let link = grant.watch_url.split_once("?grant=").expect("a secret").1.to_owned();
    for _ in 0..2 {
        app.state.grants.revoke(actor, video, grant.id).await.expect("revoked, once");
    }
    app.state.embed_rules.set_of_video(actor, video, "blog.example").await.expect("set");
    app.state.embed_rules.set_of_account(actor, "").await.expect("set");
    app.state.videos.delete(actor, video).await.expect("deleted");
    app.state.api_keys.revoke(actor, key.key.id).await.expect("revoked");
    let invite = app.state.invites.create(actor, "Bob").await.expect("made");
    let secret = invite.link.split_once("?invite=").expect("a secret").1.to_owned();
    let bob = sign_up(accounts, "bob@example.com", Some(&secret)).await.expect("invited");
    app.state.users.set_role(actor, bob.id, domain::account::Role::Owner).await.expect("set");
    app.state.users.disable(actor, bob.id).await.expect("disabled");
    app.state.users.enable(actor, bob.id).await.expect("enabled");
    app.state.users.delete(actor, bob.id).await.expect("deleted");
    app.state.sessions.end_all(actor).await.expect("ended");

    let entries = app.state.audit_log.page(ada.id, None).await.expect("read").entries;
    let kinds: Vec<AuditKind> = entries.iter().rev().map(|entry| entry.kind).collect();
    assert_eq!(
        kinds,
        [
            AuditKind::AccountMade,
            AuditKind::SignedIn,
            AuditKind::SignInFailed,
            AuditKind::SignInFailed,
            AuditKind::PasswordChanged,
            AuditKind::KeyMade,
            AuditKind::VisibilityChanged,
            AuditKind::GrantMade,
            AuditKind::GrantRevoked,
            AuditKind::EmbedHostsChanged,
            AuditKind::EmbedHostsChanged,
            AuditKind::VideoDeleted,
            AuditKind::KeyRevoked,
            AuditKind::InviteMade,
            AuditKind::InviteUsed,
            AuditKind::RoleChanged,
            AuditKind::AccountDisabled,
            AuditKind::AccountEnabled,
            AuditKind::AccountDeleted,
            AuditKind::SessionEnded,
        ]
    );
    for entry in &entries {
        assert_eq!(entry.address, "127.0.0.1", "{entry:?}");
        let known = entry.kind != AuditKind::SignInFailed;
        assert_eq!(!entry.actor.is_empty(), known, "{entry:?}");
    }
    // Its title, and for whom its links were, is nobody's business but its owner's.
    let its_id = format!("video {video}");
    let deleted = entries.iter().find(|entry| entry.kind == AuditKind::VideoDeleted).expect("there");
    assert_eq!((deleted.actor.as_str(), deleted.subject.as_str()), ("ada@example.com", its_id.as_str()));
    let told = |kind| {
        let entries = entries.iter().rev().filter(move |entry| entry.kind == kind);
        entries.map(|entry| (entry.subject.as_str(), serde_json::to_string(&entry.detail).expect("JSON"))).collect::<Vec<_>>()
    };
    assert_eq!(told(AuditKind::VisibilityChanged), [(its_id.as_str(), r#"{"from":"unlisted","to":"public"}"#.to_owned())]);
    assert_eq!(told(AuditKind::GrantRevoked), [(its_id.as_str(), format!(r#"{{"link":"{}"}}"#, grant.id))]);
    let sites = [(its_id.as_str(), r#"{"sites":"blog.example"}"#.to_owned()), ("All videos", r#"{"sites":"all"}"#.to_owned())];
    assert_eq!(told(AuditKind::EmbedHostsChanged), sites);
    let said = serde_json::to_string(&entries).expect("JSON");
    for hidden in ["hunter2", "good password", "another password", "Holiday", "Grace", &key.secret, &secret, &link] {
        assert!(!said.contains(hidden), "{hidden} in {said}");
    }
}

#[tokio::test]
async fn owners_alone_read_it_page_by_page_and_it_forgets() {
    let app = App::start().await;
    let (ada, bob) = (app.somebody("ada@example.com").await, app.somebody("bob@example.com").await);
    let refused = Problem::from(app.state.audit_log.page(bob.user, None).await.expect_err("a member"));
    assert_eq!(refused.code.as_str(), "forbidden");
    for number in 0..60 {
        app.state.api_keys.create(bob.user, &format!("key {number}"), Scope::Read).await.expect("made");
    }
    let first = app.state.audit_log.page(ada.user, None).await.expect("read");
    let second = app.state.audit_log.page(ada.user, first.next).await.expect("read");
    assert_eq!((first.entries.len(), second.next), (50, None));
    assert!(first.entries.last().expect("some").id > second.entries[0].id, "they follow each other");
    assert_eq!(first.entries.len() + second.entries.len(), 64, "two accounts with a key each, and sixty keys");

    let old = now_ms() - 181 * 24 * 60 * 60 * 1_000;
    audit_log::Entity::update_many()
        .col_expr(audit_log::Column::AtMs, Expr::value(old))
        .filter(audit_log::Column::Kind.eq("account_made"))
        .exec(&app.db)
        .await
        .expect("aged");
    app.state.audit_log.forget_old().await.expect("forgotten");
    assert_eq!(audit_log::Entity::find().count(&app.db).await.expect("counted"), 62);
}
