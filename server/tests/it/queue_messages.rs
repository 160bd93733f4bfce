//! The embedded queue on a bad day: the database's rows are the truth, whatever is said about them, how often, when and in which order.

use std::{sync::Arc, time::Duration};

use domain::{
    ids::{JobId, VideoId},
    job::{JobState, LONGEST_DELAY_MS},
};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, sea_query::Expr};
use server::{
    adapters::db_queue::DbQueue,
    clock::now_ms,
    db::entity::{jobs, removals, renditions, videos},
    ports::job_queue::{JobQueue, WakeUp},
};
use uuid::Uuid;

use crate::workshop::{
    ELSEWHERE, Workshop,
    engine::Manners,
    eventually,
    flood::{Flood, assert_done_once_each},
    queue::FakeQueue,
};

/// So seldom that a message is what a worker goes by wherever there is one.
const SELDOM: Duration = Duration::from_mins(1);

/// Jobs that nobody has to hear of: done, given up, for later, deleted, and never there.
async fn stale(shop: &Workshop) -> Vec<WakeUp> {
    let mut all = Vec::new();
    for _ in 0..12 {
        all.push(shop.video().await);
    }
    let worker = shop.hire(Arc::new(FakeQueue::default()), 4);
    for job in &all {
        shop.until(*job, JobState::Done).await;
    }
    worker.shut_down().await;
    let set = async |some: &[WakeUp], state: JobState, run_after_ms: i64| {
        jobs::Entity::update_many()
            .col_expr(jobs::Column::State, Expr::value(state.as_str()))
            .col_expr(jobs::Column::RunAfterMs, Expr::value(run_after_ms))
            .filter(jobs::Column::Id.is_in(some.iter().map(|job| job.job.0)))
            .exec(&shop.app.db)
            .await
            .expect("set");
    };
    set(&all[3..6], JobState::Failed, 0).await;
    set(&all[6..9], JobState::Queued, now_ms() + LONGEST_DELAY_MS).await;
    for job in &all[9..] {
        shop.front.videos.delete(shop.ada.user, job.video).await.expect("deleted");
    }
    all.extend((0..3).map(|_| WakeUp { job: JobId(Uuid::now_v7()), video: VideoId(Uuid::now_v7()) }));
    all
}

/// All that is known of these, and how much there is to be removed.
async fn known(shop: &Workshop, some: &[WakeUp]) -> (Vec<jobs::Model>, Vec<videos::Model>, u64) {
    let (job_ids, video_ids): (Vec<_>, Vec<_>) = some.iter().map(|one| (one.job.0, one.video.0)).unzip();
    let jobs = jobs::Entity::find().filter(jobs::Column::Id.is_in(job_ids)).order_by_asc(jobs::Column::Id);
    let videos = videos::Entity::find().filter(videos::Column::Id.is_in(video_ids)).order_by_asc(videos::Column::Id);
    let removals = removals::Entity::find().count(&shop.app.db).await.expect("counted");
    (jobs.all(&shop.app.db).await.expect("read"), videos.all(&shop.app.db).await.expect("read"), removals)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_wake_up_five_times_late_shuffled_and_stale_runs_each_job_once() {
    const JOBS: usize = 150;
    for outlives in [false, true] {
        let shop = Workshop::open(Manners { outlives, at_once: true, ..ELSEWHERE }).await;
        let stale = stale(&shop).await;
        // Nothing is left to be removed in the middle of it.
        eventually("all of it is removed", async || {
            let due = removals::Entity::update_many().col_expr(removals::Column::RunAfterMs, Expr::value(0));
            due.exec(&shop.app.db).await.expect("made due");
            shop.front.videos.work_off_removals().await;
            removals::Entity::find().count(&shop.app.db).await.expect("counted") == 0
        })
        .await;
        let before = known(&shop, &stale).await;
        let encodes = shop.engine.seen().started.len();

        let queues = [(); 2].map(|()| Arc::new(DbQueue::open(&shop.app.db).looking_every(SELDOM)));
        let workers = queues.clone().map(|queue| shop.hire(queue, 4));
        let flood = Flood { jobs: JOBS, copies: 5, stale: &stale };
        let (jobs, messages) = flood.send(&shop, async |job| queues[rand::random_range(0..2)].send(job).await.expect("sent")).await;
        assert_eq!(messages, (JOBS + stale.len() * JOBS.div_ceil(50)) * 5);
        for job in &jobs {
            shop.until(*job, JobState::Done).await;
        }
        // And once more about all of them, to both; who has done what came last has heard what came before.
        for job in jobs.iter().chain(&stale) {
            for queue in &queues {
                queue.send(*job).await.expect("sent");
            }
        }
        for queue in &queues {
            let last = shop.video().await;
            queue.send(last).await.expect("sent");
            shop.until(last, JobState::Done).await;
        }
        for worker in workers {
            worker.shut_down().await;
        }

        assert_done_once_each(&shop, &jobs).await;
        assert_eq!(shop.engine.seen().started.len(), encodes + JOBS + 2, "nothing else was begun");
        assert_eq!(shop.engine.seen().canceled, []);
        assert_eq!(known(&shop, &stale).await, before, "nothing else has changed");
        let published = renditions::Entity::find().count(&shop.app.db).await.expect("counted");
        // The nine old ones that were not deleted, the new ones, and the last two: one rendition each.
        assert_eq!(published, (9 + JOBS + 2) as u64);
    }
}
