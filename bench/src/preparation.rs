//! Bringing the tree about before a run.
//!
//! An edge file: it polls a socket and reads the clock.
#![allow(clippy::disallowed_methods, reason = "requests are stamped and waited for here")]

use crate::client::{Client, Speaker};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use mio::{Events, Interest, Poll, Token};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use volery::wire::{ErrorCode, Request};

/// Requests in flight; ZooKeeper throttles a server with more than 1,000.
const OUTSTANDING: usize = 400;
/// How often the user's interrupt is looked for.
const GLANCE: Duration = Duration::from_millis(100);
/// How long one batch may take.
const BATCH_MAX: Duration = Duration::from_secs(180);

/// A session that carries out batches of requests.
pub struct Preparation<'a> {
    client: Client,
    poll: Poll,
    buffer: Vec<u8>,
    interrupt: &'a Interrupt,
}

impl<'a> Preparation<'a> {
    /// Opens the session.
    pub fn connect(address: SocketAddr, interrupt: &'a Interrupt) -> Result<Preparation<'a>, Failure> {
        let mut client = Client::connect(address, Speaker::Wire)?;
        let poll = Poll::new().map_err(Failure::system("polling"))?;
        let source = client.source().expect("what it has chosen can be polled");
        poll.registry()
            .register(source, Token(0), Interest::READABLE | Interest::WRITABLE)
            .map_err(Failure::system("polling a connection"))?;
        Ok(Preparation { client, poll, buffer: vec![0; 64 * 1024], interrupt })
    }

    /// Carries out a batch and waits for its end. That a znode exists already is no error.
    pub fn carry_out(&mut self, batch: &[Request]) -> Result<(), Failure> {
        let deadline = Instant::now() + BATCH_MAX;
        let (mut sent, mut answered) = (0, 0);
        while answered < batch.len() {
            while sent < batch.len() && self.client.in_flight() < OUTSTANDING {
                self.client.push(batch[sent].clone(), Instant::now());
                sent += 1;
            }
            self.client.flush()?;
            self.wait(deadline)?;
            while let Some((_, error)) = self.client.next_reply()? {
                if let Some(code) = error.filter(|code| *code != ErrorCode::NodeExists) {
                    return Err(Failure::NotPrepared { path: path(&batch[answered]), code });
                }
                answered += 1;
            }
        }
        Ok(())
    }

    /// Closes the session.
    pub fn close(mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + BATCH_MAX;
        self.client.push(Request::CloseSession, Instant::now());
        while !self.client.is_closed() {
            self.client.flush()?;
            self.wait(deadline)?;
            while self.client.next_reply()?.is_some() {}
        }
        Ok(())
    }

    fn wait(&mut self, deadline: Instant) -> Result<(), Failure> {
        self.interrupt.check()?;
        if Instant::now() > deadline {
            return Err(self.client.lost(format!("the preparation took over {} s", BATCH_MAX.as_secs())));
        }
        match self.poll.poll(&mut Events::with_capacity(1), Some(GLANCE)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                Err(Failure::System { what: "polling".to_owned(), error })
            }
            _ => self.client.receive(&mut self.buffer),
        }
    }
}

fn path(request: &Request) -> String {
    match request {
        Request::Create(create) => create.path.to_string(),
        Request::SetData(set) => set.path.to_string(),
        other => format!("{other:?}"),
    }
}
