//! A socket that can wait for its client with its thread, where its connection has one for itself ([`crate::lane`]).

use std::{
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::TcpStream as WaitingStream,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::lane::{Lane, Reading};

/// A client that sends nothing for so long does not need a thread to wait for it.
const PATIENCE: Duration = Duration::from_millis(8);
/// What one read may take of a body: what the processor still has at hand when it is written to the disk, and enough that what each read and each
/// write costs beside its bytes does not count. A read takes what is there and does not wait for more: the client goes on sending while that is
/// written, and a socket may hold less than this at a time.
pub(super) const PIECE: usize = 1024 * 1024;
/// What one read may take otherwise: a buffer grows with what reads find, and there may be thousands of connections outside of lanes.
const PIECE_BY_RUNTIME: usize = 256 * 1024;
/// What one read may take of a head, and of the body behind it.
const HEAD: usize = 16 * 1024;

/// So many meagre reads, of less than so much, say that the client is no longer fast.
const MEAGRE: u32 = 8;
const MEAGRE_BYTES: usize = 16 * 1024;

#[derive(Debug)]
enum Socket {
    /// Waits by its runtime.
    Async(TcpStream),
    /// Waits by its thread.
    Waiting(WaitingStream),
    /// Could not be turned from one into the other.
    Lost,
}

/// A socket, and whether its connection has a lane.
#[derive(Debug)]
pub(super) struct LaneStream {
    socket: Socket,
    lane: Lane,
    /// Reads one after the other that found so little that waking a thread of the runtime costs no more.
    meagre: u32,
}

fn lost() -> io::Error {
    io::Error::new(ErrorKind::NotConnected, "the socket was lost")
}

impl LaneStream {
    pub(super) fn new(socket: TcpStream, lane: Lane) -> Self {
        Self { socket: Socket::Async(socket), lane, meagre: 0 }
    }

    fn waiting(&mut self) -> io::Result<&mut WaitingStream> {
        if matches!(self.socket, Socket::Async(_))
            && let Socket::Async(socket) = std::mem::replace(&mut self.socket, Socket::Lost)
        {
            let socket = socket.into_std()?;
            socket.set_nonblocking(false)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            self.socket = Socket::Waiting(socket);
        }
        match &mut self.socket {
            Socket::Waiting(socket) => Ok(socket),
            _ => Err(lost()),
        }
    }

    fn by_runtime(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if matches!(self.socket, Socket::Waiting(_))
            && let Socket::Waiting(socket) = std::mem::replace(&mut self.socket, Socket::Lost)
        {
            socket.set_nonblocking(true)?;
            self.socket = Socket::Async(TcpStream::from_std(socket)?);
        }
        match &mut self.socket {
            Socket::Async(socket) => Ok(Pin::new(socket)),
            _ => Err(lost()),
        }
    }

    /// Reads what is there, or waits for it. Nothing where the client turned slow.
    fn wait_for(&mut self, buffer: &mut ReadBuf<'_>, room: usize) -> io::Result<Option<()>> {
        let room = room.min(buffer.remaining());
        let socket = self.waiting()?;
        let read = loop {
            match socket.read(buffer.initialize_unfilled_to(room)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        match read {
            Ok(bytes) => {
                buffer.advance(bytes);
                self.lane.came(bytes as u64);
                self.meagre = if bytes < MEAGRE_BYTES { self.meagre + 1 } else { 0 };
                if self.meagre >= MEAGRE {
                    self.meagre = 0;
                    self.lane.leave();
                }
                Ok(Some(()))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                self.lane.leave();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes what a waiting socket takes at once. Nothing where it takes nothing: that is the runtime's to wait for.
    fn write_now(&mut self, slices: &[IoSlice<'_>]) -> Option<io::Result<usize>> {
        let Socket::Waiting(socket) = &mut self.socket else { return None };
        let written = socket.set_nonblocking(true).and_then(|()| socket.write_vectored(slices));
        if written.as_ref().is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)) {
            self.lane.leave();
            return None;
        }
        Some(written.and_then(|bytes| socket.set_nonblocking(false).map(|()| bytes)))
    }
}

impl AsyncRead for LaneStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.lane.reading() {
            Reading::ByRuntime => {}
            Reading::Head => {
                if let Some(read) = self.wait_for(buffer, HEAD).transpose() {
                    return Poll::Ready(read);
                }
            }
            Reading::Body(left) => {
                let room = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
                if let Some(read) = self.wait_for(buffer, room).transpose() {
                    return Poll::Ready(read);
                }
            }
            Reading::Rest => return Poll::Pending,
            Reading::Again => {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        if buffer.remaining() <= PIECE_BY_RUNTIME {
            return self.by_runtime()?.poll_read(context, buffer);
        }
        let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(PIECE_BY_RUNTIME));
        let read = self.by_runtime()?.poll_read(context, &mut piece);
        let length = piece.filled().len();
        buffer.advance(length);
        read
    }
}

impl AsyncWrite for LaneStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = match self.write_now(slices) {
            Some(written) => Poll::Ready(written),
            None => self.by_runtime()?.poll_write_vectored(context, slices),
        };
        if written.is_ready() && self.lane.answered() {
            context.waker().wake_by_ref();
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket keeps nothing back. This is asked for between reads.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.by_runtime()?.poll_shutdown(context)
    }
}
