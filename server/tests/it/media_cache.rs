//! Media in memory: fetched once however many ask, never more than its limit, gone when it has to be, and no harm from whoever fails or goes away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Bytes;
use domain::{ids::GenerationId, storage_key::StorageKey};
use server::{delivery::media_cache::MediaCache, ports::blob_store::BlobError};
use tokio::{sync::Semaphore, time::sleep};
use uuid::Uuid;

const LIMIT: u64 = 1_000_000;
const SIZE: usize = 10_000;

fn key(generation: GenerationId, number: usize) -> StorageKey {
    StorageKey::published(generation, &format!("720p/{number:05}.m4s")).expect("a key")
}

fn generation() -> GenerationId {
    GenerationId(Uuid::now_v7())
}

fn content(number: usize) -> Bytes {
    vec![number as u8; SIZE].into()
}

/// Waits for a state, however slow the machine is.
async fn until(what: &str, reached: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if reached() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

/// Reads an object that is there at once.
async fn read(cache: &MediaCache, generation: GenerationId, number: usize) -> Bytes {
    cache.read(&key(generation, number), async move { Ok(content(number)) }).await.expect("it is read")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_who_ask_at_once_cause_one_read() {
    let (cache, generation, reads) = (MediaCache::new(LIMIT), generation(), Arc::new(AtomicUsize::new(0)));
    let gate = Arc::new(Semaphore::new(0));
    let askers: Vec<_> = (0..100)
        .map(|_| {
            let (cache, reads, gate) = (cache.clone(), Arc::clone(&reads), Arc::clone(&gate));
            tokio::spawn(async move {
                let fill = async move {
                    reads.fetch_add(1, Ordering::SeqCst);
                    let _open = gate.acquire().await.expect("a gate");
                    Ok(content(7))
                };
                cache.read(&key(generation, 1), fill).await
            })
        })
        .collect();
    until("all of them wait", || cache.tally().misses == 100).await;
    // Whoever asked first may be among those who go away: the reading is nobody's.
    for gone in &askers[..50] {
        gone.abort();
    }
    gate.add_permits(1);
    for asker in askers.into_iter().skip(50) {
        assert_eq!(asker.await.expect("it ends").expect("it is read"), content(7));
    }
    assert_eq!(reads.load(Ordering::SeqCst), 1);
    assert!(cache.get(&key(generation, 1)).is_some_and(|object| object.bytes() == content(7)));
    assert_eq!(cache.tally().hits, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_or_dies_is_told_to_all_and_kept_by_nobody() {
    for dies in [false, true] {
        let (cache, key) = (MediaCache::new(LIMIT), key(generation(), 1));
        let gate = Arc::new(Semaphore::new(0));
        let askers: Vec<_> = (0..10)
            .map(|_| {
                let (cache, key, gate) = (cache.clone(), key.clone(), Arc::clone(&gate));
                tokio::spawn(async move {
                    let fill = async move {
                        let _open = gate.acquire().await.expect("a gate");
                        assert!(!dies, "it dies");
                        Err(BlobError::NotFound)
                    };
                    cache.read(&key, fill).await
                })
            })
            .collect();
        until("all of them wait", || cache.tally().misses == 10).await;
        gate.add_permits(1);
        for asker in askers {
            let error = asker.await.expect("it ends").expect_err("it fails");
            assert_eq!(matches!(error, BlobError::NotFound), !dies, "{error}");
        }
        assert!(cache.get(&key).is_none() && cache.tally().bytes == 0);
        until("the next one may try", || cache.generations().is_empty()).await;
        assert_eq!(cache.read(&key, async { Ok(content(1)) }).await.expect("it is read"), content(1));
    }
}

#[tokio::test]
async fn the_limit_holds_and_what_is_asked_for_again_stays() {
    let (cache, generation) = (MediaCache::new(LIMIT), generation());
    for number in 0..1_000 {
        assert_eq!(read(&cache, generation, number).await, content(number));
        assert!(cache.tally().bytes <= LIMIT);
        // Somebody looks at the first one again and again.
        assert!(cache.get(&key(generation, 0)).is_some(), "after {number}");
    }
    let tally = cache.tally();
    assert!(tally.evictions > 800 && tally.bytes > LIMIT / 2, "{tally:?}");
    assert!(cache.get(&key(generation, 1)).is_none() && cache.get(&key(generation, 999)).is_some());
}

#[tokio::test]
async fn what_somebody_is_being_sent_counts_until_it_has_gone_out() {
    let (cache, generation) = (MediaCache::new(LIMIT), generation());
    let mut held = Vec::new();
    for number in 0..300 {
        held.push(read(&cache, generation, number).await);
        assert!(cache.tally().bytes <= LIMIT);
    }
    assert!(held.iter().enumerate().all(|(number, bytes)| *bytes == content(number)), "nobody gets less for it");
    assert_eq!(cache.tally().evictions, 0, "it would have freed nothing");
    cache.forget(generation);
    assert!(cache.generations().is_empty() && cache.tally().bytes > LIMIT / 2, "it is still being sent");
    drop(held);
    assert_eq!(cache.tally().bytes, 0);
    let slice = read(&cache, generation, 5).await.slice(10..20);
    cache.forget(generation);
    assert!(slice == content(5)[10..20] && cache.tally().bytes > 0, "a part keeps the whole");
    drop(slice);
    assert_eq!(cache.tally().bytes, 0);
}

#[tokio::test]
async fn what_is_too_large_is_given_and_not_kept() {
    for (limit, size) in [(LIMIT, 100_000), (0, 1)] {
        let (cache, key) = (MediaCache::new(limit), key(generation(), 1));
        let bytes = cache.read(&key, async move { Ok(vec![1; size].into()) }).await.expect("it is read");
        assert!(bytes.len() == size && cache.get(&key).is_none() && cache.tally().bytes == 0, "{limit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forgotten_on_its_way_is_not_kept() {
    let (cache, gone, other) = (MediaCache::new(LIMIT), generation(), generation());
    read(&cache, gone, 1).await;
    read(&cache, other, 1).await;
    let gate = Arc::new(Semaphore::new(0));
    let asker = tokio::spawn({
        let (cache, gate) = (cache.clone(), Arc::clone(&gate));
        async move {
            let fill = async move {
                let _open = gate.acquire().await.expect("a gate");
                Ok(content(2))
            };
            cache.read(&key(gone, 2), fill).await
        }
    });
    until("it is on its way", || cache.tally().misses == 3).await;
    cache.forget(gone);
    gate.add_permits(1);
    assert_eq!(asker.await.expect("it ends").expect("it is read"), content(2), "who waited gets it");
    assert!(cache.get(&key(gone, 1)).is_none() && cache.get(&key(gone, 2)).is_none());
    assert!(cache.get(&key(other, 1)).is_some());
    assert_eq!(cache.generations().into_iter().collect::<Vec<_>>(), [other]);
}
