//! Lets go of media in memory that another process has deleted. What this process deletes is let go of at once ([`super::removals`]); here the others'
//! work is found by asking the database, every few seconds and never in a request.

use std::{collections::HashSet, time::Duration};

use domain::ids::GenerationId;
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect, Select};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    db::entity::{growing_renditions, renditions, videos},
    delivery::media_cache::MediaCache,
    error::Result,
};

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long one look may take. A database that was stopped says nothing at all.
const LOOKS_WITHIN: Duration = Duration::from_secs(5);
/// Once in so many looks, what was never seen to be published is let go of too: a poster that is ahead of its video, or what was deleted before
/// anybody looked. What still exists is read again.
const STRANGERS_EVERY: u64 = 15;
/// Generations that are asked for at once.
const BATCH: usize = 500;

/// Looks for what is gone, until it is dropped.
pub async fn follow(cache: &MediaCache, db: &DatabaseConnection) {
    let mut published = HashSet::new();
    for look in 1_u64.. {
        tokio::time::sleep(LOOK_EVERY).await;
        let strangers = look.is_multiple_of(STRANGERS_EVERY);
        match timeout(LOOKS_WITHIN, forget_gone(cache, db, &mut published, strangers)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "cannot look for media that were deleted elsewhere; trying again"),
            Err(_) => tracing::warn!("no answer to which media were deleted elsewhere; trying again"),
        }
    }
}

/// Lets go of generations in memory that were `published` once and are not any more, and of `strangers` as well where they are meant. Notes what is
/// published.
///
/// # Errors
/// The database fails.
pub async fn forget_gone(
    cache: &MediaCache,
    db: &DatabaseConnection,
    published: &mut HashSet<GenerationId>,
    strangers: bool,
) -> Result<()> {
    let here = cache.generations();
    let asked: Vec<Uuid> = here.iter().map(|generation| generation.0).collect();
    let mut stands: HashSet<GenerationId> = HashSet::new();
    for batch in asked.chunks(BATCH) {
        stands.extend(published_query(batch).into_tuple::<Uuid>().all(db).await?.into_iter().map(GenerationId));
        stands.extend(growing_query(batch).into_tuple::<Uuid>().all(db).await?.into_iter().map(GenerationId));
        stands.extend(packaged_query(batch).into_tuple::<Uuid>().all(db).await?.into_iter().map(GenerationId));
    }
    for generation in here.difference(&stands) {
        if strangers || published.contains(generation) {
            cache.forget(*generation);
        }
    }
    *published = stands;
    Ok(())
}

/// Those of some generations that are published.
pub fn published_query(generations: &[Uuid]) -> Select<renditions::Entity> {
    let column = renditions::Column::GenerationId;
    renditions::Entity::find().select_only().column(column).distinct().filter(column.is_in(generations.iter().copied()))
}

/// Those of some generations that are played from their running encode.
pub fn growing_query(generations: &[Uuid]) -> Select<growing_renditions::Entity> {
    let column = growing_renditions::Column::GenerationId;
    growing_renditions::Entity::find().select_only().column(column).distinct().filter(column.is_in(generations.iter().copied()))
}

/// Those of some generations that are packaged from a source that is there.
pub fn packaged_query(generations: &[Uuid]) -> Select<videos::Entity> {
    let column = videos::Column::PackagedGenerationId;
    videos::Entity::find().select_only().column(column).filter(column.is_in(generations.iter().copied()))
}
