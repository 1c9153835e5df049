//! A socket of the admin endpoint as hyper wants it: reads and writes that wait in the shard's executor.

use glommio::io::{PollState, PollableFd};
use hyper::rt::ReadBufCursor;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Bytes taken at a time: the head of an ordinary request.
const READ_BYTES: usize = 1024;

/// See the module comment.
pub struct Stream {
    socket: PollableFd<TcpStream>,
    reading: PollState,
    writing: PollState,
}

impl Stream {
    /// # Errors
    /// When the socket is broken.
    pub fn new(socket: TcpStream) -> io::Result<Stream> {
        socket.set_nonblocking(true)?;
        let socket = PollableFd::new(socket).map_err(io::Error::other)?;
        Ok(Stream { socket, reading: PollState::new(), writing: PollState::new() })
    }

    /// Tries `write` whenever the socket has room.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        write: impl Fn(&mut &TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match write(&mut self.socket.get_ref()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready!(self.socket.poll_writable(cx, &mut self.writing)).map_err(io::Error::other)?;
                }
                result => return Poll::Ready(result),
            }
        }
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut bytes = [0; READ_BYTES];
        let room = into.remaining().min(READ_BYTES);
        loop {
            match this.socket.get_ref().read(&mut bytes[..room]) {
                Ok(len) => {
                    into.put_slice(&bytes[..len]);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready!(this.socket.poll_readable(cx, &mut this.reading)).map_err(io::Error::other)?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |socket| socket.write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |socket| socket.write_vectored(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.get_ref().shutdown(Shutdown::Write))
    }
}
