//! Any sequence of what may be asked of a store, held against a model in memory: the same answers, and in the end the same bytes. A store is
//! opened anew in between, as after a restart. `aws_store` runs it on S3.

use std::{collections::BTreeMap, sync::Arc};

use domain::{
    storage_key::StorageKey,
    upload::{PartPlan, PartReceipt},
};
use futures::{FutureExt, future::BoxFuture};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use server::{
    adapters::fs_store::FsStore,
    ports::blob_store::{BlobError, BlobStore, Keep, MultipartId},
};
use tokio::sync::watch;

use crate::{
    app::{files_below, noise},
    store_contract::{body, read, source},
};

/// Uploads that are on their way at once.
const UPLOADS: usize = 2;
/// Parts of each, the last one short.
const PARTS: u32 = 3;

/// How a part is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// As it is.
    Right,
    /// With the checksum of other bytes.
    WrongSum,
    /// Other bytes with their own checksum.
    OtherBytes,
    /// With a byte missing.
    Short,
    /// Broken off in the middle.
    Cut,
    /// By three senders at once.
    ThreeTimes,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Begin(usize),
    Part(usize, u32, Sent),
    List(usize),
    Complete(usize),
    CompleteTwiceAtOnce(usize),
    Abort(usize),
    Delete(usize),
    Reopen,
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let upload = || 0..UPLOADS;
    let sent = prop_oneof![
        6 => Just(Sent::Right),
        1 => Just(Sent::WrongSum),
        1 => Just(Sent::OtherBytes),
        1 => Just(Sent::Short),
        1 => Just(Sent::Cut),
        1 => Just(Sent::ThreeTimes),
    ];
    // One part more than there are: it is out of range.
    let step = prop_oneof![
        3 => upload().prop_map(Step::Begin),
        14 => (upload(), 1..=PARTS + 1, sent).prop_map(|(upload, number, sent)| Step::Part(upload, number, sent)),
        2 => upload().prop_map(Step::List),
        3 => upload().prop_map(Step::Complete),
        1 => upload().prop_map(Step::CompleteTwiceAtOnce),
        1 => upload().prop_map(Step::Abort),
        1 => upload().prop_map(Step::Delete),
        2 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..most)
}

/// What the model knows of an upload.
struct Known {
    key: StorageKey,
    id: MultipartId,
    bytes: Vec<u8>,
    /// Parts that are safe, while it is on its way.
    parts: BTreeMap<u32, PartReceipt>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Arriving,
    Whole,
    /// Aborted, or deleted when it was whole.
    Gone,
}

/// A store and its model.
struct Pair<'a> {
    store: Arc<dyn BlobStore>,
    open: &'a (dyn Fn() -> BoxFuture<'static, Arc<dyn BlobStore>> + Sync),
    plan: PartPlan,
    uploads: [Option<Known>; UPLOADS],
}

impl Pair<'_> {
    async fn take(&mut self, step: Step) {
        match step {
            Step::Begin(at) => self.begin(at).await,
            Step::Part(at, number, sent) => self.part(at, number, sent).await,
            Step::List(at) => self.list(at).await,
            Step::Complete(at) => self.complete(at, 1).await,
            Step::CompleteTwiceAtOnce(at) => self.complete(at, 2).await,
            Step::Abort(at) => self.abort(at).await,
            Step::Delete(at) => self.delete(at).await,
            Step::Reopen => self.store = (self.open)().await,
        }
    }

    /// Begins an upload in a place; what was there before is given up.
    async fn begin(&mut self, at: usize) {
        self.forget(at).await;
        let key = source();
        let id = self.store.begin_multipart(&key, self.plan).await.expect("begun");
        let bytes = noise(self.plan.file_size as usize + at + 1)[at + 1..].to_vec();
        self.uploads[at] = Some(Known { key, id, bytes, parts: BTreeMap::new(), state: State::Arriving });
    }

    async fn forget(&mut self, at: usize) {
        if let Some(known) = self.uploads[at].take() {
            self.store.abort_multipart(&known.key, &known.id).await.expect("aborted");
            self.store.delete(&known.key).await.expect("deleted");
        }
    }

    async fn part(&mut self, at: usize, number: u32, sent: Sent) {
        let (store, plan) = (Arc::clone(&self.store), self.plan);
        let Some(known) = &mut self.uploads[at] else { return };
        let Some((offset, length)) = plan.part_range(number) else {
            let outcome = store.put_part(&known.key, &known.id, plan, number, 0, body(b"x")).await;
            assert!(outcome.is_err(), "a part that is not in the plan");
            return;
        };
        let right = known.bytes[offset as usize..(offset + length) as usize].to_vec();
        let other: Vec<u8> = right.iter().map(|byte| byte ^ 0x55).collect();
        let crc = crc32c::crc32c(&right);
        let put = |crc, body| store.put_part(&known.key, &known.id, plan, number, crc, body);
        let outcomes = match sent {
            Sent::Right => vec![put(crc, body(&right)).await],
            Sent::WrongSum => vec![put(crc ^ 1, body(&right)).await],
            Sent::OtherBytes => vec![put(crc32c::crc32c(&other), body(&other)).await],
            Sent::Short => vec![put(crc, body(&right[1..])).await],
            Sent::Cut => {
                let broken = futures::stream::iter([Err(std::io::Error::other("gone"))]);
                vec![put(crc, futures::StreamExt::boxed(futures::StreamExt::chain(body(&right[..right.len() / 2]), broken))).await]
            }
            Sent::ThreeTimes => futures::future::join_all((0..3).map(|_| put(crc, body(&right)))).await,
        };
        let safe = known.parts.contains_key(&number);
        match (known.state, sent) {
            (State::Gone, _) => assert!(outcomes.iter().all(Result::is_err), "{sent:?} into an upload that is gone: {outcomes:?}"),
            // Its bytes are in the object already, and what a late sender sends changes nothing.
            (State::Whole, _) => {}
            (State::Arriving, Sent::Right) => assert!(outcomes[0].is_ok(), "{outcomes:?}"),
            (State::Arriving, Sent::ThreeTimes) => assert!(outcomes.iter().any(Result::is_ok), "one of them gets through: {outcomes:?}"),
            (State::Arriving, Sent::OtherBytes) if !safe => {
                assert!(outcomes[0].is_ok(), "nobody knows yet which bytes are right: {outcomes:?}")
            }
            (State::Arriving, _) => assert!(outcomes[0].is_err(), "{sent:?}: {outcomes:?}"),
        }
        if known.state == State::Arriving && outcomes.iter().any(Result::is_ok) && !safe {
            let kept = if sent == Sent::OtherBytes { other } else { right };
            known.bytes[offset as usize..(offset + length) as usize].copy_from_slice(&kept);
            known.parts.insert(number, PartReceipt { number, size: length, crc32c: crc32c::crc32c(&kept) });
        }
    }

    async fn list(&self, at: usize) {
        let Some(known) = &self.uploads[at] else { return };
        let listed = self.store.list_parts(&known.key, &known.id).await;
        match known.state {
            State::Arriving => assert_eq!(listed.expect("listed"), known.parts.values().cloned().collect::<Vec<_>>()),
            // Nobody needs the list any more; that it does no harm to ask is enough.
            State::Whole => {}
            State::Gone => assert!(listed.is_err() || listed.is_ok_and(|parts| parts.is_empty())),
        }
    }

    async fn complete(&mut self, at: usize, at_once: usize) {
        let plan = self.plan;
        let Some(known) = &mut self.uploads[at] else { return };
        let asked = (0..at_once).map(|_| self.store.complete_multipart(&known.key, &known.id, plan));
        let outcomes = futures::future::join_all(asked).await;
        let received: Vec<u32> = known.parts.keys().copied().collect();
        for outcome in outcomes {
            match known.state {
                State::Arriving if plan.missing(&received).is_empty() => outcome.expect("completed"),
                State::Arriving => match outcome {
                    Err(BlobError::PartsMissing(missing)) => assert_eq!(missing, plan.missing(&received)),
                    other => panic!("completed without {:?}: {other:?}", plan.missing(&received)),
                },
                State::Whole => outcome.expect("and again"),
                State::Gone => assert!(outcome.is_err(), "completed although it is gone"),
            }
        }
        if known.state == State::Arriving && plan.missing(&received).is_empty() {
            known.state = State::Whole;
        }
    }

    async fn abort(&mut self, at: usize) {
        let Some(known) = &mut self.uploads[at] else { return };
        self.store.abort_multipart(&known.key, &known.id).await.expect("aborted");
        if known.state == State::Arriving {
            known.state = State::Gone;
        }
    }

    async fn delete(&mut self, at: usize) {
        let Some(known) = &mut self.uploads[at] else { return };
        self.store.delete(&known.key).await.expect("deleted");
        if known.state == State::Whole {
            known.state = State::Gone;
        }
    }

    /// What there is agrees with what is known.
    async fn check(&self) {
        for known in self.uploads.iter().flatten() {
            match known.state {
                State::Whole => assert!(read(&*self.store, &known.key, None).await == known.bytes, "the object has other bytes"),
                State::Arriving | State::Gone => {
                    assert!(matches!(self.store.size(&known.key).await, Err(BlobError::NotFound)), "visible whole or not at all");
                }
            }
        }
    }
}

/// Runs `cases` sequences of up to `most` steps on a store that `open` opens, always the same ones.
pub(crate) async fn agrees_with_the_model(
    open: &(dyn Fn() -> BoxFuture<'static, Arc<dyn BlobStore>> + Sync),
    part_size: u64,
    cases: u32,
    most: usize,
) {
    let plan = PartPlan { file_size: part_size * u64::from(PARTS - 1) + part_size / 3, part_size };
    let mut runner = TestRunner::deterministic();
    for case in 0..cases {
        let taken = steps(most).new_tree(&mut runner).expect("steps").current();
        let mut pair = Pair { store: open().await, open, plan, uploads: Default::default() };
        for (number, step) in taken.iter().enumerate() {
            let outcome = std::panic::AssertUnwindSafe(pair.take(*step)).catch_unwind().await;
            assert!(outcome.is_ok(), "case {case}, step {number} of {taken:?}");
        }
        let outcome = std::panic::AssertUnwindSafe(pair.check()).catch_unwind().await;
        assert!(outcome.is_ok(), "case {case}: after {taken:?}");
        for at in 0..UPLOADS {
            pair.forget(at).await;
        }
    }
}

#[tokio::test]
async fn fs_store_agrees_with_the_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("store");
    let open = move || {
        let root = root.clone();
        async move { Arc::new(FsStore::open(root).await.expect("opened")) as Arc<dyn BlobStore> }.boxed()
    };
    agrees_with_the_model(&open, 3_000, 150, 60).await;
    assert!(files_below(folder.path()).is_empty(), "nothing is left behind");
}

/// What may be done to an upload that is appended to.
#[derive(Debug, Clone, Copy)]
enum Piece {
    /// So many bytes from where it stands, as one body.
    Append(usize),
    /// The same, broken off behind so many of them.
    Cut(usize, usize),
    /// The same, but all or nothing.
    CutWhole(usize, usize),
    /// From somewhere else.
    Misplaced(usize),
    /// A part, as if it came in parts.
    Part(u32),
    Reopen,
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let length = || prop_oneof![0_usize..50, 0_usize..9_000];
    let piece = prop_oneof![
        6 => length().prop_map(Piece::Append),
        3 => (length(), 0_usize..9_000).prop_map(|(length, after)| Piece::Cut(length, after)),
        2 => (length(), 0_usize..9_000).prop_map(|(length, after)| Piece::CutWhole(length, after)),
        1 => (0_usize..20_000).prop_map(Piece::Misplaced),
        1 => (1..=PARTS).prop_map(Piece::Part),
        2 => Just(Piece::Reopen),
    ];
    prop::collection::vec(piece, 1..40)
}

#[tokio::test]
async fn appending_agrees_with_a_model_that_only_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut runner = TestRunner::deterministic();
    let plan = PartPlan { file_size: 14_000, part_size: 3_000 };
    let bytes = noise(14_000);
    for case in 0..100 {
        let mut store = FsStore::open(folder.path().into()).await.expect("opened");
        let key = source();
        let upload = store.appender().expect("it appends").begin_append(&key, plan).await.expect("begun");
        let (taken, mut safe) = (pieces().new_tree(&mut runner).expect("pieces").current(), 0_usize);
        for (number, piece) in taken.iter().enumerate() {
            let appender = store.appender().expect("it appends");
            let told = watch::Sender::new(0);
            let all = |length: usize| body(&bytes[safe..(safe + length).min(bytes.len())]);
            let cut = |length: usize, after: usize| {
                let kept = &bytes[safe..(safe + length.min(after)).min(bytes.len())];
                let broken = futures::stream::iter([Err(std::io::Error::other("gone"))]);
                (kept.len(), futures::StreamExt::boxed(futures::StreamExt::chain(body(kept), broken)))
            };
            let at = safe as u64;
            match *piece {
                Piece::Append(length) => {
                    let reached = appender.append(&upload, plan, at, Keep::WhatArrives, all(length), &told).await.expect("appended");
                    safe = (safe + length).min(bytes.len());
                    assert_eq!(reached, safe as u64);
                }
                Piece::Cut(length, after) => {
                    let (kept, body) = cut(length, after);
                    let outcome = appender.append(&upload, plan, at, Keep::WhatArrives, body, &told).await;
                    assert!(matches!(outcome, Err(BlobError::BodyInterrupted(_))), "{outcome:?}");
                    safe += kept;
                }
                Piece::CutWhole(length, after) => {
                    let (_, body) = cut(length, after);
                    let outcome = appender.append(&upload, plan, at, Keep::TheWhole, body, &told).await;
                    assert!(matches!(outcome, Err(BlobError::BodyInterrupted(_))), "{outcome:?}");
                }
                Piece::Misplaced(at) if at != safe => {
                    let outcome = appender.append(&upload, plan, at as u64, Keep::WhatArrives, body(b"x"), &told).await;
                    assert!(matches!(outcome, Err(BlobError::OffsetMismatch(known)) if known == safe as u64), "{outcome:?}");
                }
                Piece::Misplaced(_) => {}
                Piece::Part(number) => {
                    let outcome = store.put_part(&key, &upload, plan, number, 0, body(b"x")).await;
                    assert!(matches!(outcome, Err(BlobError::BegunOtherwise)), "{outcome:?}");
                }
                Piece::Reopen => store = FsStore::open(folder.path().into()).await.expect("opened"),
            }
            let appender = store.appender().expect("it appends");
            let counted = appender.appended(&upload).await.expect("counted");
            assert_eq!(counted, safe as u64, "case {case}, piece {number} of {taken:?}");
            let listed = store.list_parts(&key, &upload).await.expect("listed");
            assert_eq!(listed.len(), if safe == bytes.len() { plan.part_count() as usize } else { safe / 3_000 });
            for part in listed {
                let (offset, length) = plan.part_range(part.number).expect("in the plan");
                assert_eq!(part.crc32c, crc32c::crc32c(&bytes[offset as usize..(offset + length) as usize]), "case {case} of {taken:?}");
            }
        }
        let told = watch::Sender::new(0);
        let appender = store.appender().expect("it appends");
        appender.append(&upload, plan, safe as u64, Keep::WhatArrives, body(&bytes[safe..]), &told).await.expect("the rest");
        store.complete_multipart(&key, &upload, plan).await.expect("completed");
        assert!(read(&store, &key, None).await == bytes, "case {case} of {taken:?}");
        store.delete(&key).await.expect("deleted");
    }
}
