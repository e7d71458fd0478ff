//! Volery's client library.
//!
//! An edge file: what is there already is taken as of now, which is read off the clock.
#![allow(clippy::disallowed_methods, reason = "a wait that is over at once has a deadline too")]

use super::session::Answer;
use super::{SESSION_TIMEOUT, failed_op};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;
use volery::client::{self, Client, ClientError, Traffic};
use volery::wire::Request;

/// A session of it, which pings by itself. What fails is told as the reason why it is of no use any more.
pub struct Native {
    client: Client,
    unsent: Vec<Request>,
    answers: VecDeque<client::Answer>,
}

impl Native {
    /// Connects and opens a session, which blocks for a bounded time.
    pub fn connect(address: SocketAddr) -> Result<Native, String> {
        let client = Client::connect(address, SESSION_TIMEOUT).map_err(told)?;
        Ok(Native { client, unsent: Vec::new(), answers: VecDeque::new() })
    }

    /// What it has carried so far, without the handshake.
    pub fn traffic(&self) -> Traffic {
        self.client.traffic()
    }

    /// Takes a request to be sent with the next flush.
    pub fn push(&mut self, request: Request) {
        self.unsent.push(request);
    }

    /// Sends all that was pushed.
    pub fn flush(&mut self) -> Result<(), String> {
        if !self.unsent.is_empty() {
            // Answers come in the order of the requests, so nobody needs their tickets.
            let _ = self.client.send_all(&self.unsent).map_err(told)?;
            self.unsent.clear();
        }
        Ok(())
    }

    /// Waits until there is an answer or this time has come, and takes all that are there.
    pub fn wait(&mut self, until: Instant) -> Result<(), String> {
        let mut next = self.client.receive_by(until).map_err(told)?;
        while let Some((_, answer)) = next {
            self.answers.push_back(answer);
            // If the connection is lost by now, the next wait says so.
            next = self.client.receive_by(Instant::now()).unwrap_or(None);
        }
        Ok(())
    }

    /// What the next request was answered with, if that was taken.
    pub fn next_answer(&mut self) -> Option<Answer> {
        let answer = self.answers.pop_front()?;
        Some(answer.and_then(|reply| failed_op(&reply).map_or(Ok(()), Err)))
    }
}

/// The reason alone: who asks knows what connection it is.
fn told(error: ClientError) -> String {
    match error {
        ClientError::Lost(reason) | ClientError::Unreachable { reason, .. } => reason,
        other => other.to_string(),
    }
}
