//! What is finished of an encode that still runs, as far as it is played meanwhile: written by whoever holds the job's lease, in the same transactions,
//! and gone with the encode, however that ends. A video's column says that there is some; where it says so, there are rows, and nowhere else.

use std::collections::HashMap;

use domain::{
    ids::{GenerationId, VideoId},
    playlist::{Rendition, Segment},
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use crate::{
    clock::now_ms,
    db::entity::{growing_renditions, growing_segments, videos},
    error::{Error, Result},
    ports::transcoder::Grown,
    services::videos::sort,
};

/// Rows written by one statement.
const AT_ONCE: usize = 500;

/// Adds what an encode has told of; part of the caller's transaction. Adding it again changes nothing.
///
/// # Errors
/// The database fails.
pub async fn append(db: &impl ConnectionTrait, video: VideoId, generation: GenerationId, grown: &[Grown]) -> Result<()> {
    for grown in grown {
        if grown.first == 0 {
            append_rendition(db, video, generation, grown).await?;
        }
        let name = &grown.rendition.name;
        let rows = (grown.first..).zip(&grown.rendition.playlist.segments).map(|(number, segment)| growing_segments::ActiveModel {
            generation_id: Set(generation.0),
            name: Set(name.clone()),
            number: Set(i64::try_from(number).unwrap_or(i64::MAX)),
            file: Set(segment.file.clone()),
            duration_us: Set(i64::try_from(segment.duration_us).unwrap_or(i64::MAX)),
            bytes: Set(i64::try_from(segment.bytes).unwrap_or(i64::MAX)),
        });
        let rows: Vec<_> = rows.collect();
        for rows in rows.chunks(AT_ONCE) {
            let [generation, name, number] =
                [growing_segments::Column::GenerationId, growing_segments::Column::Name, growing_segments::Column::Number];
            let known = OnConflict::columns([generation, name, number]).do_nothing().to_owned();
            growing_segments::Entity::insert_many(rows.to_vec()).on_conflict(known).exec_without_returning(db).await?;
        }
    }
    Ok(())
}

async fn append_rendition(db: &impl ConnectionTrait, video: VideoId, generation: GenerationId, grown: &Grown) -> Result<()> {
    let mut rendition = grown.rendition.clone();
    rendition.playlist.segments.clear();
    let row = growing_renditions::ActiveModel {
        generation_id: Set(generation.0),
        name: Set(rendition.name.clone()),
        video_id: Set(video.0),
        body: Set(serde_json::to_string(&rendition).map_err(|error| Error::broken(error.to_string()))?),
        target_seconds: Set(i64::try_from(grown.target_seconds).unwrap_or(i64::MAX)),
    };
    let known = OnConflict::columns([growing_renditions::Column::GenerationId, growing_renditions::Column::Name]).do_nothing().to_owned();
    growing_renditions::Entity::insert(row).on_conflict(known).exec_without_returning(db).await?;
    Ok(())
}

/// Lets a video be played from a generation that grows; part of the caller's transaction.
///
/// # Errors
/// The database fails.
pub async fn begin(db: &impl ConnectionTrait, video: VideoId, generation: GenerationId) -> Result<()> {
    let column = Expr::value(generation.0);
    videos::Entity::update_many()
        .col_expr(videos::Column::GrowingGenerationId, column)
        .col_expr(videos::Column::UpdatedAtMs, Expr::value(now_ms()))
        .filter(videos::Column::Id.eq(video.0))
        .exec(db)
        .await?;
    Ok(())
}

/// Forgets what grew of a video, because it is published or because its encode is over: part of the transaction that says so. Gives the generation
/// that viewers may have been watching.
///
/// # Errors
/// The database fails.
pub async fn end(db: &impl ConnectionTrait, video: VideoId) -> Result<Option<GenerationId>> {
    let row = videos::Entity::find_by_id(video.0).one(db).await?;
    let Some(growing) = row.and_then(|row| row.growing_generation_id) else { return Ok(None) };
    // Their segments go with them by the foreign key.
    growing_renditions::Entity::delete_many().filter(growing_renditions::Column::VideoId.eq(video.0)).exec(db).await?;
    videos::Entity::update_many()
        .col_expr(videos::Column::GrowingGenerationId, Expr::value(None::<Uuid>))
        .col_expr(videos::Column::UpdatedAtMs, Expr::value(now_ms()))
        .filter(videos::Column::Id.eq(video.0))
        .exec(db)
        .await?;
    Ok(Some(GenerationId(growing)))
}

/// What there is of a generation by now, in the order of published renditions; nothing where it does not grow any more.
///
/// # Errors
/// The database fails or holds something unreadable.
pub async fn renditions(db: &impl ConnectionTrait, generation: GenerationId) -> Result<Vec<Rendition>> {
    let rows = growing_renditions::Entity::of(generation.0).all(db).await?;
    let mut segments: HashMap<String, Vec<Segment>> = HashMap::new();
    for row in growing_segments::Entity::of(generation.0).all(db).await? {
        segments.entry(row.name.clone()).or_default().push(segment(row));
    }
    let mut found = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
    for rendition in &mut found {
        rendition.playlist.segments = segments.remove(&rendition.name).unwrap_or_default();
    }
    // Published between the two looks.
    if found.iter().any(|rendition| rendition.playlist.segments.is_empty()) {
        return Ok(Vec::new());
    }
    sort(&mut found);
    Ok(found)
}

/// What there is of one rendition by now, and the seconds that none of its segments exceeds; `None` where the generation does not grow any more.
///
/// # Errors
/// The database fails or holds something unreadable.
pub async fn rendition(db: &impl ConnectionTrait, generation: GenerationId, name: &str) -> Result<Option<(Rendition, u64)>> {
    let row = growing_renditions::Entity::find_by_id((generation.0, name.to_owned())).one(db).await?;
    let Some(row) = row else { return Ok(None) };
    let mut rendition = read(&row)?;
    let segments = growing_segments::Entity::of(generation.0).filter(growing_segments::Column::Name.eq(name)).all(db).await?;
    rendition.playlist.segments = segments.into_iter().map(segment).collect();
    let there = !rendition.playlist.segments.is_empty();
    Ok(there.then(|| (rendition, row.target_seconds.unsigned_abs())))
}

fn read(row: &growing_renditions::Model) -> Result<Rendition> {
    serde_json::from_str(&row.body).map_err(|error| Error::broken(format!("a rendition: {error}")))
}

fn segment(row: growing_segments::Model) -> Segment {
    Segment { file: row.file, duration_us: row.duration_us.unsigned_abs(), bytes: row.bytes.unsigned_abs() }
}
