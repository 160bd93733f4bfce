//! The rows that an upload begins with.

use domain::{
    ids::{PlaybackId, UploadId, UserId, VideoId},
    upload::{BeginUpload, PartPlan},
    video::{Stage, Visibility, fold_title},
};
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait};
use time::OffsetDateTime;

use crate::{
    clock::now_ms,
    db::entity::{uploads, videos},
    error::Result,
    telemetry::traces,
};

#[expect(clippy::too_many_arguments, reason = "one column each; a struct of them would be the row again")]
pub(super) async fn insert_video(
    db: &impl ConnectionTrait,
    user: UserId,
    video: VideoId,
    title: &str,
    file_name: &str,
    size: u64,
    stage: Stage,
    input_url: Option<String>,
) -> Result<()> {
    let row = videos::ActiveModel {
        id: Set(video.0),
        user_id: Set(user.0),
        status: Set(stage.status().as_str().to_owned()),
        s3_input_url: Set(input_url),
        s3_output_url: Set(None),
        created_at: Set(OffsetDateTime::now_utc()),
        playback_id: Set(PlaybackId::from_random(rand::random()).to_string()),
        title: Set(title.to_owned()),
        title_folded: Set(fold_title(title)),
        visibility: Set(Visibility::default().as_str().to_owned()),
        stage: Set(stage.as_str().to_owned()),
        progress: Set(0),
        failure_code: Set(None),
        // PostgreSQL takes no NUL in a text.
        file_name: Set(file_name.replace('\0', "")),
        size_bytes: Set(i64::try_from(size).unwrap_or(i64::MAX)),
        source_facts: Set(None),
        generation_id: Set(None),
        poster_generation_id: Set(None),
        updated_at_ms: Set(now_ms()),
        embed_hosts: Set(None),
        published_bytes: Set(None),
        packaged_generation_id: Set(None),
        growing_generation_id: Set(None),
        packaged_facts: Set(None),
        plays_source: Set(false),
    };
    videos::Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

pub(super) async fn insert_upload(
    db: &impl ConnectionTrait,
    user: UserId,
    video: VideoId,
    upload: UploadId,
    multipart: &str,
    plan: PartPlan,
    begun: Option<&BeginUpload>,
) -> Result<()> {
    let row = uploads::ActiveModel {
        id: Set(upload.0),
        user_id: Set(user.0),
        video_id: Set(video.0),
        multipart_id: Set(multipart.to_owned()),
        size_bytes: Set(i64::try_from(plan.file_size).unwrap_or(i64::MAX)),
        part_size: Set(i64::try_from(plan.part_size).unwrap_or(i64::MAX)),
        // Whoever did not begin came in one request, and is there.
        complete: Set(begun.is_none()),
        fingerprint: Set(begun.and_then(|begin| begin.fingerprint.clone())),
        updated_at_ms: Set(now_ms()),
        trace_parent: Set(traces::current()),
    };
    uploads::Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}
