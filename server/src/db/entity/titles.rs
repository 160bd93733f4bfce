//! Titles as they are searched: a narrow row a video, written by the database itself (triggers on `videos`), so that a search reads
//! nothing else.

use sea_orm::{QueryOrder, QuerySelect, entity::prelude::*};

use super::videos;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "titles")]
pub struct Model {
    /// Its place among the titles of its account: later videos have higher ones. On SQLite, where the search index knows rows by this number
    /// alone, those of an account stand together.
    #[sea_orm(primary_key)]
    pub place: i64,
    /// Whose it is.
    pub user_id: Uuid,
    /// The video.
    #[sea_orm(unique)]
    pub video_id: Uuid,
    /// What [`domain::video::fold_title`] made of the title.
    pub title_folded: String,
}

/// No relations are navigated; joins are written where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// The place of an account's newest title.
    pub fn newest_place(user: Uuid) -> Select<Self> {
        Self::find().select_only().column(Column::Place).filter(Column::UserId.eq(user)).order_by_desc(Column::Place).limit(1)
    }

    /// The place of one of an account's videos.
    pub fn place_of(user: Uuid, video: Uuid) -> Select<Self> {
        Self::find().select_only().column(Column::Place).filter(Column::UserId.eq(user)).filter(Column::VideoId.eq(video))
    }

    /// The account's video `video`, or the newest of those before it, where it is gone.
    pub fn at_or_before(user: Uuid, video: Uuid) -> Select<videos::Entity> {
        let own = videos::Entity::of(user).select_only().column(videos::Column::Id).filter(videos::Column::Id.lte(video));
        own.order_by_desc(videos::Column::Id).limit(1)
    }
}
