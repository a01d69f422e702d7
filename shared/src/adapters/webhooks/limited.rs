//! A stream of which only so many bytes are read.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Reads at most so many bytes of the stream within; then every read fails with [`TooMuch`].
pub(super) struct Limited<S> {
    stream: S,
    left: usize,
}

/// There was more to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooMuch;

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more came than is read")
    }
}

impl std::error::Error for TooMuch {}

impl<S> Limited<S> {
    pub(super) fn new(stream: S, bytes: usize) -> Self {
        Self { stream, left: bytes }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other(TooMuch)));
        }
        let most = self.left.min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut part))?;
        let read = part.filled().len();
        self.left -= read;
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn not_a_byte_more_is_read() {
        let text = [7; 100];
        for most in [1, 50, 99, 100] {
            let mut read = Vec::new();
            let mut limited = Limited::new(&text[..], most);
            let error = limited.read_to_end(&mut read).await.unwrap_err();
            assert_eq!(read.len(), most);
            assert!(error.get_ref().and_then(|source| source.downcast_ref::<TooMuch>()).is_some());
        }
        let mut read = Vec::new();
        Limited::new(&text[..], 101).read_to_end(&mut read).await.unwrap();
        assert_eq!(read, text);
    }
}
