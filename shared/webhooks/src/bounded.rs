//! A stream with a limit on the bytes that are read from it. It counts at the socket, below TLS, chunks and heads, so
//! the limits of those layers do not matter.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};

/// The largest number of bytes read for a whole TLS handshake. `rustls` accepts no message longer than this, and real
/// handshakes are a tenth of it.
const HANDSHAKE_BYTES: u64 = 64 * 1024;

/// The largest number of bytes read of an answer, head and body together.
pub(super) const ANSWER_BYTES: u64 = 16 * 1024;

/// A stream with a limit on the bytes read from it.
pub(super) struct Bounded<S> {
    stream: Take<S>,
    ended: Ended,
}

/// Whether the stream ended because of its limit. The exchange asks it to choose the failure.
#[derive(Clone, Default)]
pub(super) struct Ended(Arc<AtomicBool>);

impl Ended {
    pub(super) fn by_its_bound(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S: AsyncRead> Bounded<S> {
    /// Makes a stream with the limit in bytes for the TLS handshake, which comes first.
    pub(super) fn new(stream: S) -> Self {
        Self { stream: stream.take(HANDSHAKE_BYTES), ended: Ended::default() }
    }

    /// Sets the limit for an answer.
    pub(super) fn expect_answer(&mut self) -> Ended {
        self.stream.set_limit(ANSWER_BYTES);
        self.ended.clone()
    }

    /// Makes a stream without a handshake.
    pub(super) fn for_answer(mut self) -> (Self, Ended) {
        let ended = self.expect_answer();
        (self, ended)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.stream.limit() == 0 {
            self.ended.0.store(true, Ordering::Relaxed);
        }
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[tokio::test]
    async fn no_byte_is_read_beyond_the_limit_and_the_end_by_the_limit_is_known() {
        for (sent, ended_by_bound) in [(ANSWER_BYTES - 1, false), (ANSWER_BYTES + 1, true)] {
            let mut source = Cursor::new(vec![7; usize::try_from(sent).unwrap()]);
            let (mut stream, ended) = Bounded::new(&mut source).for_answer();
            let mut read = Vec::new();
            stream.read_to_end(&mut read).await.unwrap();
            assert_eq!(ended.by_its_bound(), ended_by_bound);
            assert_eq!(source.position(), sent.min(ANSWER_BYTES));
        }
    }
}
