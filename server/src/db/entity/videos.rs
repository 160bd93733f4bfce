//! Videos. The first five columns are the product schema that outside tools may rely on.

use sea_orm::entity::prelude::*;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "videos")]
pub struct Model {
    /// The video.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// A [`domain::video::Status`], derived from `stage` at every write.
    pub status: String,
    /// The store URL of the source (`file:` or `s3:`), once it is complete.
    pub s3_input_url: Option<String>,
    /// The store URL of the published generation (`file:` or `s3:`).
    pub s3_output_url: Option<String>,
    /// When the upload began.
    pub created_at: TimeDateTimeWithTimeZone,
    /// The public handle.
    #[sea_orm(unique)]
    pub playback_id: String,
    /// Title, never empty.
    pub title: String,
    /// Title in lower case, for searching: databases differ in what they fold.
    pub title_folded: String,
    /// A [`domain::video::Visibility`].
    pub visibility: String,
    /// A [`domain::video::Stage`].
    pub stage: String,
    /// Percent of the stage.
    pub progress: i32,
    /// A [`domain::failure::FailureCode`].
    pub failure_code: Option<String>,
    /// Name of the file as uploaded.
    pub file_name: String,
    /// Bytes in the file as uploaded.
    pub size_bytes: i64,
    /// A [`domain::source::SourceFacts`] as JSON.
    pub source_facts: Option<String>,
    /// The published generation.
    pub generation_id: Option<Uuid>,
    /// The generation whose poster is shown; it may be ahead of `generation_id`.
    pub poster_generation_id: Option<Uuid>,
    /// Milliseconds of the Unix epoch of the last change.
    pub updated_at_ms: i64,
    /// A [`domain::embed_hosts::EmbedHosts`]: sites that may show this video's embed, where they differ from the account's.
    pub embed_hosts: Option<String>,
    /// Bytes of all objects of the published generation, once they have been counted.
    pub published_bytes: Option<i64>,
    /// The generation that is packaged from the source on request, where its own samples can be played; it has no objects.
    pub packaged_generation_id: Option<Uuid>,
    /// A [`crate::services::packages::PackagedFacts`] as JSON, with `packaged_generation_id`.
    pub packaged_facts: Option<String>,
    /// The generation whose encode still runs and that is played from what is finished of it.
    pub growing_generation_id: Option<Uuid>,
    /// Whether what is published names files of `packaged_generation_id`: the source stays as long as the video then.
    pub plays_source: bool,
}

/// No relations are navigated; joins are written where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Whether something of it can be played now.
    pub const fn is_playable(&self) -> bool {
        self.generation_id.is_some() || self.packaged_generation_id.is_some() || self.growing_generation_id.is_some()
    }
}

impl Entity {
    /// The videos of one account.
    pub fn of(user: Uuid) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(user))
    }

    /// The video behind a public handle, whoever's it is.
    pub fn by_playback_id(id: &str) -> Select<Self> {
        Self::find().filter(Column::PlaybackId.eq(id))
    }
}
