//! A socket that gives up on a client that does not take what it asked for: it would hold a connection, a file and memory for ever.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::progress::{Progress, Stalled};

/// What a client has to take in each period that we wait for it. The slowest line that plays anything takes a hundred times as much.
const LEAST_BYTES: u64 = 16 * 1024;

/// A socket, and what of our answers went through it.
#[derive(Debug)]
pub(super) struct TakenStream<S> {
    inner: S,
    progress: Progress,
}

impl<S> TakenStream<S> {
    pub(super) fn new(inner: S, patience: Duration) -> Self {
        Self { inner, progress: Progress::new(LEAST_BYTES, patience) }
    }

    fn watch(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let stalled = |Stalled| io::Error::new(io::ErrorKind::TimedOut, "the client takes no more of the answer");
        match written {
            Poll::Ready(Ok(bytes)) => Poll::Ready(self.progress.moved(bytes as u64).map(|()| bytes).map_err(stalled)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.progress.wait(context).map(|cause| Err(stalled(cause))),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TakenStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TakenStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (ours, _theirs) = duplex(1_024);
        let mut stream = TakenStream::new(ours, Duration::from_millis(50));
        let outcome = stream.write_all(&[0; 100_000]).await;
        assert_eq!(outcome.expect_err("nobody reads").kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_takes_a_byte_at_a_time_is_given_up_and_one_that_goes_on_is_not() {
        for (piece, patience, goes_on) in [(1, Duration::from_millis(300), false), (64 * 1_024, Duration::from_secs(60), true)] {
            let (ours, mut theirs) = duplex(1_024);
            let mut stream = TakenStream::new(ours, patience);
            let reading = tokio::spawn(async move {
                let mut taken = vec![0; piece];
                while matches!(theirs.read(&mut taken).await, Ok(1..)) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
            assert_eq!(stream.write_all(&[0; 100_000]).await.is_ok(), goes_on, "{piece}");
            drop(stream);
            reading.await.expect("it reads to the end");
        }
    }

    #[tokio::test]
    async fn our_own_slowness_is_not_the_clients() {
        let (ours, mut theirs) = duplex(1_024);
        let mut stream = TakenStream::new(ours, Duration::from_millis(50));
        for _ in 0..3 {
            stream.write_all(b"a little").await.expect("there is room");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        drop(stream);
        let mut taken = Vec::new();
        theirs.read_to_end(&mut taken).await.expect("all of it");
        assert_eq!(taken.len(), 24);
    }
}
