//! A stream that keeps a copy of the start of what is read from it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::bounded::ANSWER_BYTES;

/// The start of an answer as it came, at most [`ANSWER_BYTES`]. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Record(Arc<Mutex<Vec<u8>>>);

impl Record {
    /// Returns the bytes that were read until now.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.lock().clone()
    }

    fn add(&self, read: &[u8]) {
        let mut bytes = self.lock();
        let room = usize::try_from(ANSWER_BYTES).unwrap_or(usize::MAX) - bytes.len();
        bytes.extend_from_slice(&read[..read.len().min(room)]);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream whose reads are recorded.
pub(super) struct Recorded<S> {
    stream: S,
    record: Record,
}

impl<S> Recorded<S> {
    /// Records the reads of this stream.
    pub(super) fn new(stream: S, record: Record) -> Self {
        Self { stream, record }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, into);
        self.record.add(&into.filled()[before..]);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorded<S> {
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
