//! Uploads: beginning, taking parts, completing. Completing writes video and job in one transaction; from then on nothing that was
//! acknowledged can be lost.

use std::{sync::Arc, time::Duration};

use domain::{
    error::{Code, Problem},
    ids::{UploadId, UserId, VideoId},
    storage_key::StorageKey,
    upload::{
        BeginUpload, PartAnnouncement, PartPlan, PartReceipt, PartTarget, UploadTicket, check_begin, clean_title, title_from_file_name,
    },
    video::Stage,
};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use crate::{
    clock::now_ms,
    db::{
        begin_write,
        entity::{uploads, videos},
    },
    error::{Error, Result},
    failpoints,
    ports::{
        blob_store::{BlobError, BlobStore, ByteStream, MultipartId},
        job_queue::WakeUp,
    },
    services::{
        changes::{Change, Changes},
        jobs,
        removals::Removal,
        storage::Storage,
        videos::{Videos, advance},
    },
    telemetry::{metrics, traces::Span},
};

mod checksum;
mod goes_on;
mod next;
mod noting;
pub mod quota;
mod rows;
mod sending;
pub mod single;
pub mod tus;
mod unfinished;

pub use self::next::Next;
use self::{
    noting::Noting,
    quota::{Arriving, Usage},
    rows::{insert_upload, insert_video},
    sending::Sending,
};

/// How often, and how long apart, the row of a request that came twice at once is looked for.
const TWIN_LOOKS: u32 = 10;
const TWIN_PAUSE: Duration = Duration::from_millis(50);
/// How often a store that takes parts by itself is asked how many it has.
const LIST_PARTS_EVERY_MS: i64 = 2_000;

/// Uploads.
#[derive(Debug, Clone)]
pub struct Uploads {
    db: DatabaseConnection,
    store: Arc<dyn BlobStore>,
    next: Next,
    changes: Changes,
    videos: Videos,
    storage: Storage,
    limits: UploadLimits,
    arriving: Arriving,
    noting: Noting,
    sending: Sending,
}

/// How a file comes.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// In parts, in any order.
    Parts,
    /// From its first byte to its last.
    Appending,
}

/// What an upload may be.
#[derive(Debug, Clone, Copy)]
pub struct UploadLimits {
    /// Largest file, in bytes.
    pub max_size: u64,
    /// Days after which an unfinished upload is given up.
    pub unfinished_days: i64,
    /// Bytes that an account may store; 0 for as many as it likes.
    pub quota: u64,
    /// Uploads that an account may have begun and not completed; 0 for as many as it likes.
    pub max_unfinished: u64,
}

impl Uploads {
    /// Uploads into `store`, noted in `db`.
    pub fn new(
        db: DatabaseConnection,
        store: Arc<dyn BlobStore>,
        next: Next,
        changes: Changes,
        videos: Videos,
        storage: Storage,
        limits: UploadLimits,
    ) -> Self {
        Self {
            db,
            store,
            next,
            changes,
            videos,
            storage,
            limits,
            arriving: Arriving::default(),
            noting: Noting::default(),
            sending: Sending::default(),
        }
    }

    /// The largest file taken, in bytes.
    pub fn max_size(&self) -> u64 {
        self.limits.max_size
    }

    /// Begins an upload: from now on the video is in the library.
    ///
    /// # Errors
    /// The file is empty or too large, the account has no room for it or too many others on their way, or the store is full.
    pub async fn begin(&self, user: UserId, begin: &BeginUpload) -> Result<UploadTicket> {
        check_begin(begin, self.limits.max_size)?;
        let Some(id) = begin.upload_id else { return self.begin_as(user, UploadId(Uuid::now_v7()), begin, Way::Parts).await };
        if let Some(ticket) = self.begun(user, id).await? {
            return Ok(ticket);
        }
        let failure = match self.begin_as(user, id, begin, Way::Parts).await {
            Ok(ticket) => return Ok(ticket),
            Err(failure) => failure,
        };
        // The same request twice at once: the other one is first, and its row may be a moment away. What is refused for itself is refused now.
        let looks = if matches!(failure, Error::Problem(_)) { 1 } else { TWIN_LOOKS };
        for _ in 0..looks {
            if let Some(ticket) = self.begun(user, id).await? {
                return Ok(ticket);
            }
            tokio::time::sleep(TWIN_PAUSE).await;
        }
        Err(failure)
    }

    /// The upload that an earlier request with this id began, whose answer was lost on its way.
    async fn begun(&self, user: UserId, id: UploadId) -> Result<Option<UploadTicket>> {
        match uploads::Entity::find_by_id(id.0).one(&self.db).await? {
            Some(known) if known.user_id == user.0 => self.ticket(user, id).await.map(Some),
            Some(_) => Err(Problem::new(Code::Conflict, "This upload id is taken. Make up another one.").into()),
            None => Ok(None),
        }
    }

    async fn begin_as(&self, user: UserId, upload: UploadId, begin: &BeginUpload, way: Way) -> Result<UploadTicket> {
        let plan = PartPlan::for_wish(begin.size, begin.part_size, self.store.least_part());
        let key = StorageKey::Source { upload };
        // Looked at before the store makes room for the file; what counts is the look in the transaction below.
        self.check_room(Usage::of(&self.db, user).await?, user, begin.size)?;
        let turn = self.storage.make_room(begin.size).await?;
        let multipart = match way {
            Way::Parts => self.store.begin_multipart(&key, plan).await?,
            Way::Appending => self.appender()?.begin_append(&key, plan).await?,
        };
        drop(turn);
        failpoints::pass("upload.begin.reserved");
        let noted = self.note_begun(user, upload, plan, &multipart, begin).await;
        if noted.is_err()
            && let Err(error) = self.store.abort_multipart(&key, &multipart).await
        {
            tracing::warn!(%error, upload_id = %upload, "an upload that could not be noted is left in the store");
        }
        noted
    }

    async fn note_begun(
        &self,
        user: UserId,
        upload: UploadId,
        plan: PartPlan,
        multipart: &MultipartId,
        begin: &BeginUpload,
    ) -> Result<UploadTicket> {
        let video = VideoId(Uuid::now_v7());
        let title = begin.title.as_deref().and_then(clean_title).unwrap_or_else(|| title_from_file_name(&begin.file_name));
        let transaction = begin_write(&self.db).await?;
        self.check_room(Usage::locked(&transaction, user).await?, user, begin.size)?;
        insert_video(&transaction, user, video, &title, &begin.file_name, begin.size, Stage::Uploading, None).await?;
        insert_upload(&transaction, user, video, upload, &multipart.0, plan, Some(begin)).await?;
        transaction.commit().await?;
        failpoints::pass("upload.begin.committed");
        metrics::upload("begun");
        self.changes.tell(Change::Video { user, video });
        Ok(self.ticket_for(upload, video, plan, Vec::new()))
    }

    /// Whether one more upload of `size` bytes may begin, beside what arrives in single requests.
    fn check_room(&self, usage: Usage, user: UserId, size: u64) -> Result<()> {
        usage.check_count(&self.limits)?;
        Ok(usage.check_bytes(&self.limits, size.saturating_add(self.arriving.of(user)))?)
    }

    /// Where an upload stands: which parts are safe. One whose completion was interrupted is completed.
    ///
    /// # Errors
    /// It is not there, or not the user's.
    pub async fn ticket(&self, user: UserId, upload: UploadId) -> Result<UploadTicket> {
        let row = self.row(user, upload).await?;
        let plan = plan(&row);
        let all = || (1..=plan.part_count()).collect();
        let received = if row.complete { all() } else { self.received(user, &row).await?.unwrap_or_else(all) };
        Ok(self.ticket_for(upload, VideoId(row.video_id), plan, received))
    }

    fn ticket_for(&self, upload: UploadId, video: VideoId, plan: PartPlan, received: Vec<u32>) -> UploadTicket {
        let part_url = format!("/api/v1/uploads/{upload}/parts/{{number}}");
        let target_url = self.store.presigner().map(|_| format!("{part_url}/target"));
        UploadTicket { upload_id: upload, video_id: video, plan, part_url, target_url, received }
    }

    /// Takes a part. `length` is what the request says its body has, where it says so.
    ///
    /// # Errors
    /// The upload is not the user's or is complete, the part is not in its plan, or the bytes are not what was announced.
    pub async fn put_part(
        &self,
        user: UserId,
        upload: UploadId,
        number: u32,
        crc32c: u32,
        length: Option<u64>,
        body: ByteStream,
    ) -> Result<PartReceipt> {
        let row = self.row_for_piece(user, upload).await?;
        let plan = plan(&row);
        let Some((_, size)) = plan.part_range(number) else {
            return Err(no_such_part(plan, number).into());
        };
        if length.is_some_and(|length| length != size) {
            return Err(BlobError::SizeMismatch.into());
        }
        let (key, multipart) = (StorageKey::Source { upload }, MultipartId(row.multipart_id.clone()));
        let mut span = Span::begin("upload.part", row.trace_parent.as_deref());
        span.note("millrace.part", i64::from(number));
        let receipt = self.store.put_part(&key, &multipart, plan, number, crc32c, body).await?;
        drop(span);
        if self.store.presigner().is_none() {
            metrics::received(receipt.size);
        }
        if !row.complete {
            self.next.packages.part_arrived(user, VideoId(row.video_id), upload, &multipart, plan);
        }
        // A store elsewhere is asked for what it has, but not at each of thousands of parts.
        let asked = self.store.presigner().is_none() || now_ms() - row.updated_at_ms >= LIST_PARTS_EVERY_MS;
        if !row.complete && asked {
            self.note_soon(user, &row);
        }
        Ok(receipt)
    }

    /// Where a part may be sent straight to the store.
    ///
    /// # Errors
    /// The upload is not the user's, the part is not in its plan, other bytes are safe in its place, or the store takes parts from us alone.
    pub async fn target(&self, user: UserId, upload: UploadId, number: u32, announced: PartAnnouncement) -> Result<PartTarget> {
        let row = self.row(user, upload).await?;
        let plan = plan(&row);
        let Some((_, size)) = plan.part_range(number) else { return Err(no_such_part(plan, number).into()) };
        let presigner = self.store.presigner().ok_or_else(Problem::not_found)?;
        if row.complete {
            return Ok(PartTarget::Safe { receipt: PartReceipt { number, size, crc32c: announced.crc32c } });
        }
        let (key, multipart) = (StorageKey::Source { upload }, MultipartId(row.multipart_id));
        let target = presigner.presign_part(&key, &multipart, plan, number, announced.crc32c).await?;
        // The store does not tell us of parts; it is asked, but not at each of thousands.
        if now_ms() - row.updated_at_ms >= LIST_PARTS_EVERY_MS {
            let received = self.store.list_parts(&key, &multipart).await?.len() as u64;
            self.note_progress(user, VideoId(row.video_id), upload, received * 100 / u64::from(plan.part_count().max(1))).await?;
        }
        Ok(target)
    }

    async fn note_progress(&self, user: UserId, video: VideoId, upload: UploadId, percent: u64) -> Result<()> {
        let percent = i32::try_from(percent.min(100)).unwrap_or(100);
        uploads::Entity::update_many()
            .col_expr(uploads::Column::UpdatedAtMs, Expr::value(now_ms()))
            .filter(uploads::Column::Id.eq(upload.0))
            .exec(&self.db)
            .await?;
        let changed = videos::Entity::update_many()
            .col_expr(videos::Column::Progress, Expr::value(percent))
            .col_expr(videos::Column::UpdatedAtMs, Expr::value(now_ms()))
            .filter(videos::Column::Id.eq(video.0))
            .filter(videos::Column::Stage.eq(Stage::Uploading.as_str()))
            .filter(videos::Column::Progress.lt(percent))
            .exec(&self.db)
            .await?;
        if changed.rows_affected > 0 {
            self.changes.tell(Change::Video { user, video });
        }
        Ok(())
    }

    /// Completes an upload: makes the source of its parts and queues its processing. Doing it again gives the same answer.
    ///
    /// # Errors
    /// The upload is not there or not the user's, or parts are missing.
    pub async fn complete(&self, user: UserId, upload: UploadId) -> Result<VideoId> {
        let row = self.row(user, upload).await?;
        let video = VideoId(row.video_id);
        if row.complete {
            return Ok(video);
        }
        let _span = Span::begin("upload.complete", row.trace_parent.as_deref());
        let key = StorageKey::Source { upload };
        self.store.complete_multipart(&key, &MultipartId(row.multipart_id.clone()), plan(&row)).await?;
        failpoints::pass("upload.complete.assembled");
        let transaction = begin_write(&self.db).await?;
        let first = uploads::Entity::update_many()
            .col_expr(uploads::Column::Complete, Expr::value(true))
            .col_expr(uploads::Column::UpdatedAtMs, Expr::value(now_ms()))
            .filter(uploads::Column::Id.eq(upload.0))
            .filter(uploads::Column::Complete.eq(false))
            .exec(&transaction)
            .await?;
        if first.rows_affected == 0 {
            self.sending.completed(upload);
            // Of several completions at once, one is first and the others find it done; or the video was deleted meanwhile.
            if uploads::Entity::find_by_id(upload.0).one(&transaction).await?.is_none() {
                Removal::Source(upload).note(&transaction).await?;
                transaction.commit().await?;
                return Err(Problem::not_found().into());
            }
            return Ok(video);
        }
        advance(&transaction, video, Stage::Queued, &[(videos::Column::S3InputUrl, Expr::value(self.store.url(&key)))]).await?;
        let job = jobs::enqueue(&transaction, user, video).await?;
        failpoints::pass("upload.complete.before_commit");
        transaction.commit().await?;
        self.sending.completed(upload);
        failpoints::pass("upload.complete.committed");
        metrics::upload("completed");
        if self.store.presigner().is_some() {
            // Its parts may have passed us by. That they are all there, each of its length, the store has just said.
            metrics::received(row.size_bytes.unsigned_abs());
        }
        self.hand_on(user, upload, WakeUp { job, video }).await;
        Ok(video)
    }

    /// Gives up an upload: the video goes from the library, its bytes from the store.
    ///
    /// # Errors
    /// It is not there or not the user's, or it is complete: then the video is to be deleted.
    pub async fn abort(&self, user: UserId, upload: UploadId) -> Result<()> {
        let row = self.row(user, upload).await?;
        self.videos.give_up(user, VideoId(row.video_id)).await?;
        metrics::upload("aborted");
        Ok(())
    }

    async fn row(&self, user: UserId, upload: UploadId) -> Result<uploads::Model> {
        let row = uploads::Entity::of(user.0).filter(uploads::Column::Id.eq(upload.0)).one(&self.db).await?;
        Ok(row.ok_or_else(Problem::not_found)?)
    }
}

fn plan(row: &uploads::Model) -> PartPlan {
    PartPlan { file_size: row.size_bytes.unsigned_abs(), part_size: row.part_size.unsigned_abs() }
}

fn no_such_part(plan: PartPlan, number: u32) -> Problem {
    Problem::invalid(format!("The file has parts 1 to {}; there is no part {number}.", plan.part_count()))
}
