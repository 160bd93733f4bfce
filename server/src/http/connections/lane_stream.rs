//! A socket that can wait for its client with its thread, where its connection has one for itself ([`crate::lane`]).

use std::{
    io::{self, ErrorKind, IoSlice, Read},
    net::TcpStream as WaitingStream,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::lane::Lane;

/// A client that sends nothing for so long does not need a thread to wait for it.
const PATIENCE: Duration = Duration::from_millis(8);
/// What one read may take, at least and at most: what the processor still has at hand when it is written to the disk.
const LEAST: usize = 32 * 1024;
const MOST: usize = 256 * 1024;

/// So many meagre reads say that the client is no longer fast.
const MEAGRE: u32 = 8;

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
    /// What the next read is likely to find.
    likely: usize,
    /// Reads one after the other that found so little that waking a thread of the runtime costs no more.
    meagre: u32,
}

fn lost() -> io::Error {
    io::Error::new(ErrorKind::NotConnected, "the socket was lost")
}

impl LaneStream {
    pub(super) fn new(socket: TcpStream, lane: Lane) -> Self {
        Self { socket: Socket::Async(socket), lane, likely: LEAST, meagre: 0 }
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
    fn wait_for(&mut self, buffer: &mut ReadBuf<'_>, coming: u64) -> io::Result<Option<()>> {
        let room = self.likely.min(buffer.remaining()).min(usize::try_from(coming).unwrap_or(usize::MAX));
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
                self.meagre = if bytes < LEAST / 2 { self.meagre + 1 } else { 0 };
                if self.meagre >= MEAGRE {
                    self.meagre = 0;
                    self.lane.leave();
                }
                self.likely = (if bytes >= room { self.likely * 2 } else { bytes.next_power_of_two() }).clamp(LEAST, MOST);
                Ok(Some(()))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                self.lane.leave();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl AsyncRead for LaneStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let coming = self.lane.coming();
        if coming > 0
            && let Some(read) = self.wait_for(buffer, coming).transpose()
        {
            return Poll::Ready(read);
        }
        self.by_runtime()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for LaneStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.by_runtime()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.by_runtime()?.poll_write_vectored(context, slices)
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
