//! Processing a video once more, for its owner and for whoever runs the server.

use domain::{
    error::{Code, Problem},
    failure::FailureCode,
    ids::{JobId, UserId, VideoId},
    video::{Stage, Video},
};
use sea_orm::{DatabaseTransaction, sea_query::Expr};

use super::{Videos, advance, stage, whole::Whole};
use crate::{
    db::{begin_write, entity::videos},
    error::Result,
    ports::job_queue::WakeUp,
    services::{audit_log::Act, changes::Change, jobs::enqueue_again},
};

impl Videos {
    /// Processes a failed video anew.
    ///
    /// # Errors
    /// It is not there, has not failed, or its file is to blame.
    pub async fn retry(&self, user: UserId, video: VideoId) -> Result<Video> {
        self.row(user, video).await?;
        let transaction = begin_write(&self.db).await?;
        // Under its locks: of two who ask at once, the second finds it under way.
        let row = Whole::lock(&transaction, user, video).await?.video;
        let code = row.failure_code.as_deref().and_then(FailureCode::parse);
        if code.is_none_or(|code| !code.worth_retrying()) {
            return Err(Problem::new(Code::Conflict, "Only a video whose processing failed on our side can be tried again.").into());
        }
        self.again(transaction, user, &row).await?;
        self.get(user, video).await
    }

    /// Processes a video of `user` anew because whoever runs the server says so, and notes that: one that has failed, whatever the reason, or one
    /// that is done, which plays on as it is until the new renditions are there.
    ///
    /// # Errors
    /// It is not there, it is being processed, or its source is gone.
    pub async fn redrive(&self, user: UserId, video: VideoId, act: Act) -> Result<JobId> {
        let transaction = begin_write(&self.db).await?;
        let row = Whole::lock(&transaction, user, video).await?.video;
        act.on_video(row.id).with("was", row.failure_code.as_deref().unwrap_or(&row.stage)).note(&transaction).await?;
        self.again(transaction, user, &row).await
    }

    /// Gives a locked video another job and wakes a worker.
    async fn again(&self, transaction: DatabaseTransaction, user: UserId, row: &videos::Model) -> Result<JobId> {
        let video = VideoId(row.id);
        if row.s3_input_url.is_none() {
            let gone = "The file that was uploaded is no longer here, so there is nothing to process again. Upload it once more.";
            return Err(Problem::new(Code::Conflict, gone).into());
        }
        let fresh = [(videos::Column::FailureCode, Expr::value(None::<String>))];
        let settled = matches!(stage(row)?, Stage::Failed | Stage::Ready);
        if !settled || !advance(&transaction, video, Stage::Queued, &fresh).await? {
            return Err(Problem::new(Code::Conflict, "It is being processed already.").into());
        }
        let job = enqueue_again(&transaction, user, video).await?;
        transaction.commit().await?;
        if let Err(error) = self.queue.send(WakeUp { job, video }).await {
            // The row stands; workers look at the rows by themselves.
            tracing::warn!(%error, job_id = %job, "could not wake a worker");
        }
        self.changes.tell(Change::Video { user, video });
        Ok(job)
    }
}
