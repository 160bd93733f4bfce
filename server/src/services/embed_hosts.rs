//! Which sites may show a video in a frame: the list of the grant that somebody came with, else the video's, else the account's. Browsers
//! hold to it; a program that pretends to be one is stopped by grants alone.

use domain::{
    audit::AuditKind,
    embed_hosts::EmbedHosts,
    error::Problem,
    ids::{PlaybackId, UserId, VideoId},
};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, sea_query::Expr};

use crate::{
    db::{
        begin_write,
        entity::{users, videos},
    },
    error::Result,
    services::{
        audit_log::{Act, Actor},
        grants::Grants,
    },
};

/// The rules.
#[derive(Debug, Clone)]
pub struct EmbedRules {
    db: DatabaseConnection,
    grants: Grants,
}

impl EmbedRules {
    /// Rules in `db`, and in the grants that `grants` recognises.
    pub fn new(db: DatabaseConnection, grants: Grants) -> Self {
        Self { db, grants }
    }

    /// The account's own list.
    ///
    /// # Errors
    /// The account is not there.
    pub async fn of_account(&self, user: UserId) -> Result<EmbedHosts> {
        let row = users::Entity::find_by_id(user.0).one(&self.db).await?.ok_or_else(Problem::not_found)?;
        Ok(EmbedHosts::stored(row.embed_hosts.as_deref()).unwrap_or_default())
    }

    /// Changes the account's list to what was typed.
    ///
    /// # Errors
    /// Something in it is no host.
    pub async fn set_of_account(&self, actor: impl Into<Actor>, typed: &str) -> Result<EmbedHosts> {
        let actor = actor.into();
        let hosts = EmbedHosts::parse(typed)?;
        let transaction = begin_write(&self.db).await?;
        users::Entity::update_many()
            .col_expr(users::Column::EmbedHosts, Expr::value(hosts.to_stored()))
            .filter(users::Column::Id.eq(actor.user.0))
            .exec(&transaction)
            .await?;
        changed(actor, &hosts).on("All videos").note(&transaction).await?;
        transaction.commit().await?;
        Ok(hosts)
    }

    /// A video's own list; empty where the account's counts.
    ///
    /// # Errors
    /// The video is not the user's.
    pub async fn of_video(&self, user: UserId, video: VideoId) -> Result<EmbedHosts> {
        let row = videos::Entity::of(user.0).filter(videos::Column::Id.eq(video.0)).one(&self.db).await?;
        let row = row.ok_or_else(Problem::not_found)?;
        Ok(EmbedHosts::stored(row.embed_hosts.as_deref()).unwrap_or_default())
    }

    /// Changes a video's list to what was typed.
    ///
    /// # Errors
    /// The video is not the user's, or something in the list is no host.
    pub async fn set_of_video(&self, actor: impl Into<Actor>, video: VideoId, typed: &str) -> Result<EmbedHosts> {
        let actor = actor.into();
        let hosts = EmbedHosts::parse(typed)?;
        let mine = || videos::Entity::of(actor.user.0).filter(videos::Column::Id.eq(video.0));
        let transaction = begin_write(&self.db).await?;
        let row = mine().one(&transaction).await?.ok_or_else(Problem::not_found)?;
        videos::Entity::update_many()
            .col_expr(videos::Column::EmbedHosts, Expr::value(hosts.to_stored()))
            .filter(videos::Column::Id.eq(video.0))
            .filter(videos::Column::UserId.eq(actor.user.0))
            .exec(&transaction)
            .await?;
        changed(actor, &hosts).on_video(row.id).note(&transaction).await?;
        transaction.commit().await?;
        Ok(hosts)
    }

    /// What counts for a visitor of the embed page who came with `grant`, or with none.
    ///
    /// # Errors
    /// The video is not there.
    pub async fn for_embed(&self, id: &PlaybackId, grant: Option<&str>) -> Result<EmbedHosts> {
        let row = videos::Entity::by_playback_id(id.as_str()).one(&self.db).await?.ok_or_else(Problem::not_found)?;
        let grant = match grant {
            Some(secret) => self.grants.recognise(&row, secret).await?,
            None => None,
        };
        let own = grant.and_then(|grant| EmbedHosts::stored(grant.embed_hosts.as_deref()));
        match own.or_else(|| EmbedHosts::stored(row.embed_hosts.as_deref())) {
            Some(hosts) => Ok(hosts),
            None => self.of_account(UserId(row.user_id)).await,
        }
    }
}

fn changed(actor: Actor, hosts: &EmbedHosts) -> Act {
    Act::of(actor, AuditKind::EmbedHostsChanged).with("sites", hosts.to_stored().unwrap_or_else(|| "all".to_owned()))
}
