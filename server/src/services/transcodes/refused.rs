//! What is said on videos that wait while the engine refuses to work: the operator reads why in the log, and whoever uploaded something
//! would otherwise wait in front of "In line" for ever.

use domain::{
    failure::FailureCode,
    ids::{UserId, VideoId},
    job::JobState,
    video::Stage,
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait, sea_query::Expr};
use uuid::Uuid;

use super::Transcodes;
use crate::{
    clock::now_ms,
    db::entity::{jobs, videos},
    error::Result,
    services::changes::Change,
};

impl Transcodes {
    /// Says on each video whose job is due that nobody may work on it; the next try takes that back. Says nothing while another worker is at
    /// work: then they wait for that one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn note_refusal(&self) -> Result<()> {
        let now = now_ms();
        let working = Condition::all().add(jobs::Column::State.eq(JobState::Running.as_str())).add(jobs::Column::LeaseExpiresAtMs.gte(now));
        let due = Condition::all().add(jobs::Column::State.eq(JobState::Queued.as_str())).add(jobs::Column::RunAfterMs.lte(now));
        if jobs::Entity::find().filter(working).limit(1).one(&self.db).await?.is_some() {
            return Ok(());
        }
        let waiting = jobs::Entity::find().select_only().column(jobs::Column::VideoId).filter(due).into_query();
        let unsaid = Condition::all().add(videos::Column::FailureCode.is_null()).add(videos::Column::Stage.eq(Stage::Queued.as_str()));
        let columns = [videos::Column::Id, videos::Column::UserId];
        let query = videos::Entity::find().select_only().columns(columns).filter(videos::Column::Id.in_subquery(waiting));
        let rows: Vec<(Uuid, Uuid)> = query.filter(unsaid.clone()).into_tuple().all(&self.db).await?;
        for (video, user) in rows {
            let said = videos::Entity::update_many()
                .col_expr(videos::Column::FailureCode, Expr::value(FailureCode::ProcessingRefused.as_str()))
                .col_expr(videos::Column::UpdatedAtMs, Expr::value(now))
                .filter(videos::Column::Id.eq(video))
                .filter(unsaid.clone());
            if said.exec(&self.db).await?.rows_affected == 1 {
                self.viewers.changes.tell(Change::Video { user: UserId(user), video: VideoId(video) });
            }
        }
        Ok(())
    }
}
