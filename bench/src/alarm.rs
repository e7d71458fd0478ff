//! A timer that wakes a poll to the microsecond, which a poll's own timeout, in milliseconds, cannot.
//!
//! An edge file: it is a timer of the operating system.

use crate::failure::Failure;
use mio::unix::SourceFd;
use mio::{Interest, Poll, Token};
use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// A timer that is polled.
pub struct Alarm {
    timer: OwnedFd,
    set_for: Option<Instant>,
}

impl Alarm {
    /// A timer that is not set, and will wake this poll with this token.
    pub fn new(poll: &Poll, token: Token) -> Result<Alarm, Failure> {
        let failed = || Failure::system("setting a timer");
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)
            .map_err(|error| failed()(error.into()))?;
        poll.registry()
            .register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)
            .map_err(failed())?;
        Ok(Alarm { timer, set_for: None })
    }

    /// Sets it for this time, in place of what it was set for; a time that has passed is at once.
    pub fn set(&mut self, due: Instant, now: Instant) -> Result<(), Failure> {
        if self.set_for == Some(due) {
            return Ok(());
        }
        self.set_for = Some(due);
        // A timer that is set for nothing would be switched off.
        let left = due.saturating_duration_since(now).max(Duration::from_nanos(1));
        let value = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)
            .map_err(|error| Failure::system("setting a timer")(error.into()))?;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a timer is about real time")]
mod tests {
    use super::*;
    use mio::Events;

    #[test]
    fn it_wakes_once_for_each_time_that_it_is_set_for_and_not_before() {
        let mut poll = Poll::new().unwrap();
        let mut alarm = Alarm::new(&poll, Token(7)).unwrap();
        let mut events = Events::with_capacity(4);
        for _ in 0..3 {
            let now = Instant::now();
            let due = now + Duration::from_micros(1_500);
            alarm.set(due, now).unwrap();
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            assert!(Instant::now() >= due);
            assert_eq!(events.iter().map(|event| event.token()).collect::<Vec<_>>(), [Token(7)]);
        }
        poll.poll(&mut events, Some(Duration::from_millis(1))).unwrap();
        assert!(events.is_empty());
    }
}
