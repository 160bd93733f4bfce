//! Reading as a server does it: asynchronously, from a source that may fail or answer too little.

use std::{
    convert::Infallible,
    future::Future,
    ops::Range,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use super::{
    super::{Limits, Media, ReadError, Refusal, Source, open, read_segment},
    bytes,
    film::Film,
};

/// A file in memory, which answers with as many bytes less as it says.
struct Memory {
    file: Bytes,
    short_by: usize,
}

impl Source for Memory {
    type Error = Infallible;

    async fn read(&self, range: Range<u64>) -> Result<Bytes, Infallible> {
        Ok(self.file.slice(range.start as usize..range.end as usize - self.short_by))
    }
}

/// The answer of a future that never waits.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("nothing here waits"),
    }
}

#[test]
fn a_source_is_opened_and_read_in_ranges() {
    let file = Film::new(8).write();
    let source = Memory { file: file.clone().into(), short_by: 0 };
    let package = now(open(&source, file.len() as u64, Limits::default())).expect("an ordinary film");
    for media in [Media::Video, Media::Audio] {
        for number in 0..package.segments(media) {
            let segment = package.segment(media, number).expect("good tables").expect("a segment");
            for gap in [0, 30, u64::MAX] {
                let pieces = now(read_segment(&source, &segment, gap)).expect("whole reads");
                assert_eq!(pieces.concat(), bytes(&file, &segment), "{gap}");
            }
        }
    }
    let short = Memory { short_by: 1, ..source };
    let segment = package.segment(Media::Video, 0).expect("good tables").expect("a segment");
    assert!(matches!(now(read_segment(&short, &segment, 0)), Err(ReadError::WrongLength)));
    assert!(matches!(now(open(&short, file.len() as u64, Limits::default())), Err(ReadError::Refused(Refusal::Damaged(_)))));
}

#[test]
fn reads_and_bytes_are_limited() {
    let file = Film { per_chunk: 3, ..Film::new(20) }.write_fragments();
    let source = Memory { file: file.clone().into(), short_by: 0 };
    let limited = |limits| now(open(&source, file.len() as u64, limits)).err().map(|error| error.to_string());
    assert_eq!(limited(Limits::default()), None);
    assert_eq!(limited(Limits { reads: 1, ..Limits::default() }).as_deref(), Some("the tables are too large: boxes"));
    assert_eq!(limited(Limits { table_bytes: 3_000, ..Limits::default() }).as_deref(), Some("the tables are too large: bytes"));
}
