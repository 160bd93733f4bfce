//! ffmpeg with a store that has no local files, as S3 has none: the source is fetched once, and the copy goes.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use domain::{
    ids::GenerationId,
    ladder,
    storage_key::StorageKey,
    upload::{PartPlan, PartReceipt},
};
use server::{
    adapters::{ffmpeg_transcoder::FfmpegTranscoder, fs_store::FsStore},
    ports::{
        blob_store::{BlobError, BlobRead, BlobStore, ByteRange, ByteStream, MultipartId},
        transcoder::{TranscodeState, Transcoder},
    },
};

use super::bench::Bench;
use crate::app::files_below;

/// A store that hides where its files are, and counts how often sources are read.
#[derive(Debug)]
struct FarStore {
    near: Arc<FsStore>,
    reads: AtomicU32,
}

impl fmt::Display for FarStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.near.fmt(f)
    }
}

#[async_trait::async_trait]
impl BlobStore for FarStore {
    async fn begin_multipart(&self, key: &StorageKey, plan: PartPlan) -> Result<MultipartId, BlobError> {
        self.near.begin_multipart(key, plan).await
    }

    async fn put_part(
        &self,
        key: &StorageKey,
        upload: &MultipartId,
        plan: PartPlan,
        number: u32,
        crc32c: u32,
        body: ByteStream,
    ) -> Result<PartReceipt, BlobError> {
        self.near.put_part(key, upload, plan, number, crc32c, body).await
    }

    async fn list_parts(&self, key: &StorageKey, upload: &MultipartId) -> Result<Vec<PartReceipt>, BlobError> {
        self.near.list_parts(key, upload).await
    }

    async fn complete_multipart(&self, key: &StorageKey, upload: &MultipartId, plan: PartPlan) -> Result<(), BlobError> {
        self.near.complete_multipart(key, upload, plan).await
    }

    async fn abort_multipart(&self, key: &StorageKey, upload: &MultipartId) -> Result<(), BlobError> {
        self.near.abort_multipart(key, upload).await
    }

    async fn put_stream(&self, key: &StorageKey, body: ByteStream, max_size: u64) -> Result<u64, BlobError> {
        self.near.put_stream(key, body, max_size).await
    }

    async fn put_file(&self, key: &StorageKey, file: &Path) -> Result<(), BlobError> {
        self.near.put_file(key, file).await
    }

    async fn get(&self, key: &StorageKey, range: Option<ByteRange>) -> Result<BlobRead, BlobError> {
        if matches!(key, StorageKey::Source { .. }) {
            self.reads.fetch_add(1, Ordering::Relaxed);
        }
        self.near.get(key, range).await
    }

    async fn size(&self, key: &StorageKey) -> Result<u64, BlobError> {
        self.near.size(key).await
    }

    async fn list_generation(&self, generation: GenerationId) -> Result<HashMap<String, u64>, BlobError> {
        self.near.list_generation(generation).await
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), BlobError> {
        self.near.delete(key).await
    }

    async fn delete_prefix(&self, prefix: &str) -> Result<(), BlobError> {
        self.near.delete_prefix(prefix).await
    }

    fn url(&self, key: &StorageKey) -> String {
        self.near.url(key)
    }

    fn local_path(&self, _key: &StorageKey) -> Option<PathBuf> {
        None
    }
}

#[tokio::test]
async fn a_source_is_fetched_once_and_its_copy_goes() {
    let mut bench = Bench::new().await;
    let far = Arc::new(FarStore { near: Arc::clone(&bench.store), reads: AtomicU32::new(0) });
    bench.transcoder = FfmpegTranscoder::new(bench.settings.clone(), far.clone());
    let file = bench.make("-f lavfi -i testsrc2=s=320x180:r=25:d=3 -f lavfi -i sine=d=3 -c:v libx264 -c:a aac", "clip.mp4");
    for round in 1..=2 {
        let key = bench.upload(&file).await;
        let facts = bench.transcoder.probe(&key).await.expect("it is read");
        let (id, _) = bench.start(key, &facts, &ladder::plan(&facts)).await;
        assert!(matches!(bench.finish(&id).await.expect("it is encoded"), TranscodeState::Done { poster: true, .. }));
        assert_eq!(far.reads.load(Ordering::Relaxed), round, "for the probe, and not again for the encode");
    }
    // A probe whose encode never comes: its copy goes with the transcoder at the latest.
    let key = bench.upload(&file).await;
    bench.transcoder.probe(&key).await.expect("it is read");
    let scratch = bench.settings.scratch.clone();
    let copies = || files_below(&scratch).iter().filter(|path| path.ends_with("source")).count();
    assert_eq!(copies(), 1);
    bench.transcoder = FfmpegTranscoder::new(bench.settings.clone(), far.clone());
    for _ in 0..1_500 {
        if copies() == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("a copy is left in the scratch folder");
}
