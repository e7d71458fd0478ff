//! Who writes the buffers.
#![allow(clippy::disallowed_methods, reason = "an edge: writes files, and has a thread for it")]

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::{self, JoinHandle};

use super::buffer::Buffer;
use super::position::LogPosition;
use crate::disk::Disk;

/// Buffers up to this size are written in the caller's thread in any case: handing a few commands over costs them more than
/// the caller, who has little else to do, loses by waiting.
const SMALL_BYTES: usize = 4 << 10;

/// Writes buffers and syncs them, in the caller's thread or the larger ones in its own. Both say by the same calls what is
/// durable: a host submits a buffer, and tells the log every position that `submit` or `try_durable` returns.
///
/// An error is the end: the host ends the process. A failed write or sync is never tried again (see
/// [`crate::log`]), and a writer that has failed refuses everything.
pub struct LogWriter(Mode);

enum Mode {
    Inline(Arc<dyn Disk>),
    Thread(WriterThread),
    Failed,
}

struct WriterThread {
    disk: Arc<dyn Disk>,
    /// Taken when the writer is dropped, which ends the thread.
    buffers: Option<Sender<Buffer>>,
    durable: Receiver<io::Result<LogPosition>>,
    thread: Option<JoinHandle<()>>,
}

impl LogWriter {
    /// A writer that writes in `submit`, and is done when it returns.
    pub fn inline(disk: Arc<dyn Disk>) -> LogWriter {
        LogWriter(Mode::Inline(disk))
    }

    /// A writer with a thread for large buffers, which calls `wake` after each, once `try_durable` has something to say: a
    /// position or an error.
    pub fn thread(disk: Arc<dyn Disk>, wake: impl Fn() + Send + 'static) -> io::Result<LogWriter> {
        let (buffers, inbox) = mpsc::channel();
        let (outbox, durable) = mpsc::channel();
        let threads = disk.clone();
        let run = move || write_all(threads.as_ref(), &inbox, &outbox, wake);
        let thread = Some(thread::Builder::new().name("log".to_string()).spawn(run)?);
        Ok(LogWriter(Mode::Thread(WriterThread { disk, buffers: Some(buffers), durable, thread })))
    }

    /// Takes the buffer in flight. Returns its position if it is durable already.
    pub fn submit(&mut self, buffer: Buffer) -> io::Result<Option<LogPosition>> {
        let submitted = match &self.0 {
            Mode::Inline(disk) => write(disk, &buffer),
            Mode::Thread(thread) if buffer.bytes() <= SMALL_BYTES => write(&thread.disk, &buffer),
            Mode::Thread(thread) => thread.submit(buffer),
            Mode::Failed => Err(ended()),
        };
        self.unless_failed(submitted)
    }

    /// A position that became durable since, if any.
    pub fn try_durable(&mut self) -> io::Result<Option<LogPosition>> {
        let durable = match &self.0 {
            Mode::Inline(_) => Ok(None),
            Mode::Thread(thread) => thread.try_durable(),
            Mode::Failed => Err(ended()),
        };
        self.unless_failed(durable)
    }

    fn unless_failed<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        if result.is_err() {
            self.0 = Mode::Failed;
        }
        result
    }
}

impl fmt::Debug for LogWriter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            Mode::Inline(_) => "LogWriter(inline)",
            Mode::Thread(_) => "LogWriter(thread)",
            Mode::Failed => "LogWriter(failed)",
        })
    }
}

impl WriterThread {
    /// Fails if the thread has ended, and then with the reason for it if that was not taken yet.
    fn submit(&self, buffer: Buffer) -> io::Result<Option<LogPosition>> {
        let sent = self.buffers.as_ref().map(|buffers| buffers.send(buffer));
        if matches!(sent, Some(Ok(()))) { Ok(None) } else { self.try_durable() }
    }

    fn try_durable(&self) -> io::Result<Option<LogPosition>> {
        match self.durable.try_recv() {
            Ok(durable) => durable.map(Some),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(ended()),
        }
    }
}

impl Drop for WriterThread {
    /// Waits for the buffer in flight.
    fn drop(&mut self) {
        self.buffers = None;
        if let Some(thread) = self.thread.take() {
            // A panic in the thread has been reported by it, and there is nobody to hand it to.
            let _ = thread.join();
        }
    }
}

fn write(disk: &Arc<dyn Disk>, buffer: &Buffer) -> io::Result<Option<LogPosition>> {
    buffer.write(disk.as_ref()).map(|()| Some(buffer.position()))
}

/// Writes what comes, until nothing can come any more or something fails.
fn write_all(
    disk: &dyn Disk,
    inbox: &Receiver<Buffer>,
    outbox: &Sender<io::Result<LogPosition>>,
    wake: impl Fn(),
) {
    for buffer in inbox {
        let written = buffer.write(disk).map(|()| buffer.position());
        let failed = written.is_err();
        let unheard = outbox.send(written).is_err();
        wake();
        if failed || unheard {
            return;
        }
    }
}

fn ended() -> io::Error {
    io::Error::other("the log's writer has ended")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::RecvTimeoutError;
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::disk::MemoryDisk;
    use crate::log::{LogLimits, LogNonce, NodeLog};
    use crate::ring_id::RingId;

    const DEADLINE: Duration = Duration::from_secs(20);

    fn log(disk: &Arc<MemoryDisk>) -> NodeLog {
        NodeLog::recover(disk.clone(), LogLimits::default(), LogNonce::default()).unwrap()
    }

    fn buffer(log: &mut NodeLog, bytes: usize) -> Buffer {
        log.append(RingId(0), log.next_index(RingId(0)), Bytes::from(vec![b'e'; bytes]));
        log.take_buffer().unwrap()
    }

    fn small(log: &mut NodeLog) -> Buffer {
        buffer(log, 100)
    }

    fn large(log: &mut NodeLog) -> Buffer {
        buffer(log, SMALL_BYTES)
    }

    #[test]
    fn inline_is_durable_at_once() {
        let disk = Arc::new(MemoryDisk::new());
        let mut log = log(&disk);
        let mut writer = LogWriter::inline(disk.clone());
        for _ in 0..3 {
            let position = writer.submit(large(&mut log)).unwrap().unwrap();
            log.synced(position);
            assert_eq!(writer.try_durable().unwrap(), None);
        }
        disk.crash(1);
        assert_eq!(self::log(&disk).len(RingId(0)), 3);
    }

    #[test]
    fn a_thread_is_not_asked_for_little() {
        let disk = Arc::new(MemoryDisk::new());
        let mut log = log(&disk);
        let mut writer = LogWriter::thread(disk.clone(), || {}).unwrap();
        let position = writer.submit(small(&mut log)).unwrap().unwrap();
        log.synced(position);
        assert_eq!(writer.submit(large(&mut log)).unwrap(), None);
        drop(writer);
        disk.crash(1);
        assert_eq!(self::log(&disk).len(RingId(0)), 2);
    }

    #[test]
    fn a_thread_wakes_its_host_when_a_buffer_is_durable() {
        let disk = Arc::new(MemoryDisk::new());
        let mut log = log(&disk);
        let (waker, woken) = mpsc::channel();
        let mut writer = LogWriter::thread(disk.clone(), move || waker.send(()).unwrap()).unwrap();
        assert_eq!(writer.try_durable().unwrap(), None);
        for _ in 0..3 {
            assert_eq!(writer.submit(large(&mut log)).unwrap(), None);
            woken.recv_timeout(DEADLINE).unwrap();
            let position = writer.try_durable().unwrap().unwrap();
            log.synced(position);
        }
        disk.crash(1);
        assert_eq!(self::log(&disk).len(RingId(0)), 3);
        drop(writer);
        assert_eq!(woken.recv_timeout(DEADLINE), Err(RecvTimeoutError::Disconnected), "the thread has ended");
    }

    #[test]
    fn a_dropped_writer_finishes_the_buffer_in_flight() {
        let disk = Arc::new(MemoryDisk::new());
        let mut log = log(&disk);
        let mut writer = LogWriter::thread(disk.clone(), || {}).unwrap();
        writer.submit(large(&mut log)).unwrap();
        drop(writer);
        disk.crash(1);
        assert_eq!(self::log(&disk).len(RingId(0)), 1);
    }

    #[test]
    fn a_failure_in_the_thread_is_told_once_and_stays() {
        let disk = Arc::new(MemoryDisk::new());
        let mut log = log(&disk);
        let (waker, woken) = mpsc::channel();
        let mut writer = LogWriter::thread(disk.clone(), move || waker.send(()).unwrap()).unwrap();
        disk.set_full(true);
        writer.submit(large(&mut log)).unwrap();
        woken.recv_timeout(DEADLINE).unwrap();
        assert_eq!(writer.try_durable().unwrap_err().kind(), io::ErrorKind::StorageFull);
        disk.set_full(false);
        assert!(writer.try_durable().is_err());
        log.synced(log.appended());
        assert!(writer.submit(large(&mut log)).is_err());
    }
}
