//! The contract of [`BlobStore`], as one suite that every adapter passes. `aws_store` runs it on S3.

use std::sync::Arc;

use bytes::Bytes;
use domain::{
    ids::{GenerationId, UploadId},
    storage_key::StorageKey,
    upload::PartPlan,
};
use futures::{StreamExt, TryStreamExt};
use server::{
    adapters::fs_store::FsStore,
    ports::blob_store::{BlobError, BlobStore, ByteRange, ByteStream, MultipartId, Unfinished},
};
use uuid::Uuid;

use crate::app::{files_below, noise};

pub(crate) fn body(bytes: &[u8]) -> ByteStream {
    let pieces: Vec<_> = bytes.chunks(70_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    futures::stream::iter(pieces).boxed()
}

pub(crate) fn source() -> StorageKey {
    StorageKey::Source { upload: UploadId(Uuid::now_v7()) }
}

pub(crate) async fn read(store: &dyn BlobStore, key: &StorageKey, range: Option<ByteRange>) -> Vec<u8> {
    let read = store.get(key, range).await.expect("there");
    let pieces: Vec<Bytes> = read.body.try_collect().await.expect("readable");
    let bytes = pieces.concat();
    assert_eq!(bytes.len() as u64, read.length);
    bytes
}

/// The smallest part that every store takes: S3's limit, but for the last one.
const PART: usize = 5 * 1024 * 1024;
/// A plan of three parts, the last one short.
pub(crate) const PLAN: PartPlan = PartPlan { file_size: 2 * PART as u64 + 50_000, part_size: PART as u64 };

/// The bytes of a file with that plan.
pub(crate) fn file() -> Vec<u8> {
    noise(2 * PART + 50_000)
}

pub(crate) fn part(bytes: &[u8], number: u32) -> &[u8] {
    let (offset, length) = PLAN.part_range(number).expect("in the plan");
    &bytes[offset as usize..(offset + length) as usize]
}

async fn parts_in_any_order_make_the_object(store: &dyn BlobStore) {
    let (key, bytes) = (source(), file());
    let upload = store.begin_multipart(&key, PLAN).await.expect("begun");
    assert!(matches!(store.size(&key).await, Err(BlobError::NotFound)), "an object is visible whole or not at all");
    for number in [3, 1] {
        let part = part(&bytes, number);
        store.put_part(&key, &upload, PLAN, number, crc32c::crc32c(part), body(part)).await.expect("taken");
    }
    match store.complete_multipart(&key, &upload, PLAN).await {
        Err(BlobError::PartsMissing(missing)) => assert_eq!(missing, [2]),
        other => panic!("completed with a part missing: {other:?}"),
    }
    let middle = part(&bytes, 2);
    store.put_part(&key, &upload, PLAN, 2, crc32c::crc32c(middle), body(middle)).await.expect("taken");
    let listed: Vec<_> = store.list_parts(&key, &upload).await.expect("listed").iter().map(|part| (part.number, part.size)).collect();
    assert_eq!(listed, [(1, PLAN.part_size), (2, PLAN.part_size), (3, 50_000)]);
    store.complete_multipart(&key, &upload, PLAN).await.expect("completed");
    store.complete_multipart(&key, &upload, PLAN).await.expect("and again");
    assert_eq!(read(store, &key, None).await, bytes);
    // A resend that arrives late changes nothing.
    store.put_part(&key, &upload, PLAN, 2, crc32c::crc32c(middle), body(middle)).await.expect("taken again");
    assert_eq!(read(store, &key, None).await, bytes);
}

async fn what_is_wrong_is_not_kept(store: &dyn BlobStore) {
    let (key, bytes) = (source(), file());
    let upload = store.begin_multipart(&key, PLAN).await.expect("begun");
    let first = part(&bytes, 1);
    let crc = crc32c::crc32c(first);
    assert!(matches!(store.put_part(&key, &upload, PLAN, 1, crc ^ 1, body(first)).await, Err(BlobError::ChecksumMismatch)));
    assert!(matches!(store.put_part(&key, &upload, PLAN, 1, crc, body(&first[1..])).await, Err(BlobError::SizeMismatch)));
    assert!(matches!(store.put_part(&key, &upload, PLAN, 1, crc, body(&bytes)).await, Err(BlobError::SizeMismatch)));
    let broken = futures::stream::iter([Ok(Bytes::copy_from_slice(&first[..10])), Err(std::io::Error::other("gone"))]).boxed();
    assert!(matches!(store.put_part(&key, &upload, PLAN, 1, crc, broken).await, Err(BlobError::BodyInterrupted(_))));
    assert!(store.list_parts(&key, &upload).await.expect("listed").is_empty());
    store.put_part(&key, &upload, PLAN, 1, crc, body(first)).await.expect("taken");
    // A part that is safe stays safe while a wrong resend of it fails.
    let other = noise(PART + 1)[1..].to_vec();
    assert!(store.put_part(&key, &upload, PLAN, 1, crc32c::crc32c(&other) ^ 1, body(&other)).await.is_err());
    assert!(
        store.put_part(&key, &upload, PLAN, 1, crc32c::crc32c(&other), body(&other)).await.is_err(),
        "nor is it replaced by other bytes"
    );
    assert!(store.put_part(&key, &upload, PLAN, 1, crc, body(&other)).await.is_err(), "and a right checksum does not excuse wrong bytes");
    let listed = store.list_parts(&key, &upload).await.expect("listed");
    assert_eq!(listed.iter().map(|part| (part.number, part.crc32c)).collect::<Vec<_>>(), [(1, crc)]);
    store.abort_multipart(&key, &upload).await.expect("aborted");
    store.abort_multipart(&key, &upload).await.expect("and again");
    assert!(matches!(store.put_part(&key, &upload, PLAN, 1, crc, body(first)).await, Err(BlobError::NotFound)));
}

async fn a_resend_replaces_a_sender_that_stalls(store: Arc<dyn BlobStore>) {
    let (key, bytes) = (source(), file());
    let upload = store.begin_multipart(&key, PLAN).await.expect("begun");
    let first = part(&bytes, 1).to_vec();
    let crc = crc32c::crc32c(&first);
    let (tell, stalls) = futures::channel::oneshot::channel();
    let stalled = futures::stream::iter([Ok(Bytes::from_static(&[0; 5_000])), Ok(Bytes::from_static(&[0; 5_000]))])
        .chain(futures::stream::once(async move {
            let _ = tell.send(());
            std::future::pending::<std::io::Result<Bytes>>().await
        }))
        .boxed();
    let holder = tokio::spawn({
        let (store, key, upload) = (Arc::clone(&store), key.clone(), upload.clone());
        async move { store.put_part(&key, &upload, PLAN, 1, crc, stalled).await }
    });
    // Until its sender has nothing more to say.
    stalls.await.expect("it is listened to");
    store.put_part(&key, &upload, PLAN, 1, crc, body(&first)).await.expect("the newcomer is taken");
    assert!(matches!(holder.await.expect("it ends"), Err(BlobError::BodyInterrupted(_))));
    for number in [2, 3] {
        let part = part(&bytes, number);
        store.put_part(&key, &upload, PLAN, number, crc32c::crc32c(part), body(part)).await.expect("taken");
    }
    store.complete_multipart(&key, &upload, PLAN).await.expect("completed");
    assert_eq!(read(&*store, &key, None).await, bytes);
}

async fn completions_at_once_are_one(store: Arc<dyn BlobStore>) {
    let (key, bytes) = (source(), b"one small part");
    let plan = PartPlan { file_size: bytes.len() as u64, part_size: PLAN.part_size };
    let upload = store.begin_multipart(&key, plan).await.expect("begun");
    store.put_part(&key, &upload, plan, 1, crc32c::crc32c(bytes), body(bytes)).await.expect("taken");
    let complete = || {
        let (store, key, upload) = (Arc::clone(&store), key.clone(), upload.clone());
        tokio::spawn(async move { store.complete_multipart(&key, &upload, plan).await })
    };
    for outcome in [complete(), complete(), complete()] {
        outcome.await.expect("it ends").expect("completed");
    }
    assert_eq!(read(&*store, &key, None).await, bytes);
    let gone = MultipartId(upload.0.clone());
    store.delete(&key).await.expect("deleted");
    assert!(matches!(store.complete_multipart(&key, &gone, plan).await, Err(BlobError::NotFound)));
    assert!(matches!(store.list_parts(&key, &gone).await, Err(BlobError::NotFound)));
}

async fn bodies_of_unknown_length(store: &dyn BlobStore) {
    // One that every store takes at once, and one that a store with parts cuts.
    for length in [3_000_000, 17 * 1024 * 1024 + 1] {
        let (key, bytes) = (source(), noise(length));
        assert!(matches!(store.put_stream(&key, body(&bytes), length as u64 - 1).await, Err(BlobError::SizeMismatch)));
        let broken = body(&bytes).chain(futures::stream::iter([Err(std::io::Error::other("gone"))])).boxed();
        assert!(matches!(store.put_stream(&key, broken, length as u64 + 1).await, Err(BlobError::BodyInterrupted(_))));
        assert!(matches!(store.size(&key).await, Err(BlobError::NotFound)), "nothing is left of it");
        assert_eq!(store.put_stream(&key, body(&bytes), length as u64).await.expect("stored"), length as u64);
        assert!(read(store, &key, None).await == bytes);
        store.delete(&key).await.expect("deleted");
    }
    let key = source();
    assert_eq!(store.put_stream(&key, body(b""), 10).await.expect("stored"), 0);
    assert_eq!(store.size(&key).await.expect("there"), 0);
    store.delete(&key).await.expect("deleted");
}

async fn ranges_and_deletion(store: &dyn BlobStore) {
    let (key, bytes) = (source(), noise(3_000_000));
    store.put_stream(&key, body(&bytes), 3_000_000).await.expect("stored");
    let range = |first, last| Some(ByteRange { first, last });
    assert_eq!(read(store, &key, range(5, Some(9))).await, bytes[5..10]);
    assert_eq!(read(store, &key, range(1_000_000, None)).await, bytes[1_000_000..]);
    assert_eq!(read(store, &key, range(2_999_999, Some(u64::MAX))).await, bytes[2_999_999..]);
    let answer = store.get(&key, range(10, Some(19))).await.expect("there");
    assert_eq!((answer.size, answer.offset, answer.length), (3_000_000, 10, 10));
    assert!(matches!(store.get(&key, range(3_000_000, None)).await, Err(BlobError::RangeNotSatisfiable(3_000_000))));
    store.delete(&key).await.expect("deleted");
    store.delete(&key).await.expect("and again");
    assert!(matches!(store.get(&key, None).await, Err(BlobError::NotFound)));
    assert!(matches!(store.size(&key).await, Err(BlobError::NotFound)));
}

async fn generations_are_listed_and_deleted(store: &dyn BlobStore) {
    let (generation, other) = (GenerationId(Uuid::now_v7()), GenerationId(Uuid::now_v7()));
    assert!(store.list_generation(generation).await.expect("listed").is_empty());
    let file = tempfile::NamedTempFile::new().expect("a file");
    for (generation, name, text) in
        [(generation, "720p/00001.m4s", "segment"), (generation, "poster.jpg", "picture"), (other, "poster.jpg", "")]
    {
        let copy = file.path().with_extension("copy");
        std::fs::write(&copy, text).expect("written");
        store.put_file(&StorageKey::published(generation, name).expect("a good name"), &copy).await.expect("stored");
    }
    let listed = store.list_generation(generation).await.expect("listed");
    assert_eq!(listed, [("720p/00001.m4s".to_owned(), 7), ("poster.jpg".to_owned(), 7)].into());
    store.delete_prefix(&StorageKey::generation_prefix(generation)).await.expect("deleted");
    assert!(store.list_generation(generation).await.expect("listed").is_empty());
    assert_eq!(store.list_generation(other).await.expect("listed"), [("poster.jpg".to_owned(), 0)].into());
    store.delete_prefix(&StorageKey::generation_prefix(other)).await.expect("deleted");
    store.delete_prefix(&StorageKey::generation_prefix(generation)).await.expect("and again");
}

/// For stores that can be looked through: what is there is listed once each, in pages or not, and what is on its way is known by its upload.
async fn the_store_can_be_looked_through(store: &dyn BlobStore) {
    let Some(inventory) = store.inventory() else { return };
    let (kept, begun, generation) = (source(), source(), GenerationId(Uuid::now_v7()));
    store.put_stream(&kept, body(b"a source"), 100).await.expect("stored");
    let segment = StorageKey::published(generation, "720p/00000.m4s").expect("a good name");
    store.put_stream(&segment, body(b"a segment"), 100).await.expect("stored");
    let upload = store.begin_multipart(&begun, PLAN).await.expect("begun");
    for (prefix, key, size) in [("sources/", &kept, 8), ("published/", &segment, 9)] {
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let listing = inventory.list_objects(prefix, from).await.expect("listed");
            found.extend(listing.objects.into_iter().filter(|object| object.path == key.to_string()));
            from = listing.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(found.iter().map(|object| object.size).collect::<Vec<_>>(), [size], "{key}");
        assert!(found[0].written_ms > 1_600_000_000_000, "{found:?}");
    }
    let known = |unfinished: &Unfinished| unfinished.id == upload && unfinished.key.as_ref() == Some(&begun);
    let unfinished = inventory.list_unfinished().await.expect("listed");
    assert_eq!(unfinished.iter().filter(|one| known(one)).count(), 1, "{unfinished:?}");
    store.abort_multipart(&begun, &upload).await.expect("aborted");
    assert!(!inventory.list_unfinished().await.expect("listed").iter().any(known));
    store.delete(&kept).await.expect("deleted");
    store.delete_prefix(&StorageKey::generation_prefix(generation)).await.expect("deleted");
}

/// The suite.
pub(crate) async fn keeps_the_contract(store: Arc<dyn BlobStore>) {
    parts_in_any_order_make_the_object(&*store).await;
    what_is_wrong_is_not_kept(&*store).await;
    a_resend_replaces_a_sender_that_stalls(Arc::clone(&store)).await;
    completions_at_once_are_one(Arc::clone(&store)).await;
    bodies_of_unknown_length(&*store).await;
    ranges_and_deletion(&*store).await;
    generations_are_listed_and_deleted(&*store).await;
    the_store_can_be_looked_through(&*store).await;
}

#[tokio::test]
async fn fs_store_keeps_the_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    let store: Arc<dyn BlobStore> = Arc::new(FsStore::open(folder.path().join("store")).await.expect("opened"));
    keeps_the_contract(store).await;
    assert!(files_below(&folder.path().join("store/incoming")).is_empty(), "nothing unfinished is left behind");
}

#[tokio::test]
async fn acknowledged_parts_survive_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let (key, bytes) = (source(), file());
    let store = FsStore::open(folder.path().into()).await.expect("opened");
    let upload = store.begin_multipart(&key, PLAN).await.expect("begun");
    store.put_part(&key, &upload, PLAN, 2, crc32c::crc32c(part(&bytes, 2)), body(part(&bytes, 2))).await.expect("taken");
    drop(store);
    let store = FsStore::open(folder.path().into()).await.expect("opened again");
    assert_eq!(store.list_parts(&key, &upload).await.expect("listed").len(), 1);
    for number in [1, 3] {
        store.put_part(&key, &upload, PLAN, number, crc32c::crc32c(part(&bytes, number)), body(part(&bytes, number))).await.expect("taken");
    }
    store.complete_multipart(&key, &upload, PLAN).await.expect("completed");
    assert_eq!(read(&store, &key, None).await, bytes);
}
