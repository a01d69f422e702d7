//! A stream that ends after a number of bytes, whatever the other side still has to say. It counts at the socket: under
//! TLS, chunks and heads, whose own bounds then cannot matter.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};

/// The most that is read during a TLS handshake: what TLS itself allows for one message of it.
const HANDSHAKE_BYTES: u64 = 64 * 1024;

/// The most that is read of an answer, head and body together.
pub(super) const ANSWER_BYTES: u64 = 16 * 1024;

/// A stream with a bound on what is read from it.
pub(super) struct Bounded<S> {
    stream: Take<S>,
    ended: Ended,
}

/// Whether a stream has ended by its bound: asked by whoever sees it end and must say why.
#[derive(Clone, Default)]
pub(super) struct Ended(Arc<AtomicBool>);

impl Ended {
    pub(super) fn by_its_bound(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S: AsyncRead> Bounded<S> {
    /// A stream that is still to carry a handshake.
    pub(super) fn new(stream: S) -> Self {
        Self { stream: stream.take(HANDSHAKE_BYTES), ended: Ended::default() }
    }

    /// From now on only an answer is to come.
    pub(super) fn expect_answer(&mut self) -> Ended {
        self.stream.set_limit(ANSWER_BYTES);
        self.ended.clone()
    }

    /// A stream without a handshake.
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
    async fn not_one_byte_is_read_beyond_the_bound_and_the_end_is_told_from_the_others_own() {
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
