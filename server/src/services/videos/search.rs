//! Pages of videos by what their title holds, in any case and anywhere in it: `%` and quotes mean themselves. Newest first, by the order in
//! which the videos came; within a page by id, as everywhere.

use domain::{
    ids::{UserId, VideoId},
    video::fold_title,
};
use sea_orm::{ColumnTrait, DatabaseConnection, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::{
    db::{
        entity::{titles, videos},
        title_search,
    },
    error::Result,
};

/// What is searched for, as titles are compared; `None` where that is nothing. Titles hold no control characters either.
pub(super) fn clean(search: &str) -> Option<String> {
    let text: String = search.chars().filter(|c| !c.is_control()).collect();
    Some(fold_title(text.trim())).filter(|text| !text.is_empty())
}

/// The videos of a page, and the last of them where there is a next page.
pub(super) async fn page(
    db: &DatabaseConnection,
    user: UserId,
    text: &str,
    after: Option<VideoId>,
    limit: u64,
) -> Result<(Vec<videos::Model>, Option<VideoId>)> {
    let Some(highest) = begin(db, user.0, after).await? else { return Ok((Vec::new(), None)) };
    let mut hits = title_search::newest(db, user.0, highest, text, i64::try_from(limit + 1).unwrap_or(i64::MAX)).await?;
    let more = hits.len() as u64 > limit;
    hits.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = hits.last().filter(|_| more).map(|hit| VideoId(hit.video_id));
    let found = videos::Entity::of(user.0).filter(videos::Column::Id.is_in(hits.iter().map(|hit| hit.video_id)));
    Ok((found.order_by_desc(videos::Column::Id).all(db).await?, next))
}

/// The place from which on titles are looked for; `None` where there are none. A video that was deleted since its page was shown is stood in
/// for by the one before it.
async fn begin(db: &DatabaseConnection, user: Uuid, after: Option<VideoId>) -> Result<Option<i64>> {
    let Some(VideoId(after)) = after else { return Ok(titles::Entity::newest_place(user).into_tuple().one(db).await?) };
    let Some(nearest) = titles::Entity::at_or_before(user, after).into_tuple::<Uuid>().one(db).await? else { return Ok(None) };
    let place: Option<i64> = titles::Entity::place_of(user, nearest).into_tuple().one(db).await?;
    Ok(place.map(|place| if nearest == after { place - 1 } else { place }))
}
