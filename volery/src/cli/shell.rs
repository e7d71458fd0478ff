//! The interactive shell: a line, its outcome, and so on to the end of the input.

use super::command::{Line, Said};
use super::failure::Failure;
use super::printer::Printer;
use super::words;
use crate::client::{Client, ClientError};
use clap::Parser;
use std::io::{self, BufRead, Write};

/// What to do after a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    ReadOn,
    Leave,
}

/// A shell over one session.
pub(super) struct Shell<'a> {
    pub(super) client: Client,
    pub(super) output: &'a mut dyn Write,
    pub(super) errors: &'a mut dyn Write,
    /// What to print before each line is read; nothing where nobody types.
    pub(super) prompt: Option<String>,
    /// Opens the session that follows an expired one.
    pub(super) connect: &'a dyn Fn() -> Result<Client, ClientError>,
}

impl Shell<'_> {
    /// Runs lines until `quit` or the end of the input, and ends the session. A command that fails is no reason to stop.
    pub(super) fn run(mut self, input: &mut dyn BufRead) -> Result<(), Failure> {
        let mut line = String::new();
        loop {
            self.print_prompt()?;
            line.clear();
            if input.read_line(&mut line)? == 0 || self.line(&line)? == Next::Leave {
                break;
            }
        }
        match self.client.close() {
            // The session is gone, or goes by its timeout, which is all that leaving needs.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn print_prompt(&mut self) -> io::Result<()> {
        let Some(prompt) = &self.prompt else { return Ok(()) };
        write!(self.output, "{prompt}")?;
        self.output.flush()
    }

    fn line(&mut self, line: &str) -> io::Result<Next> {
        let words = match words::split(line) {
            Ok(words) => words,
            Err(reason) => return self.complain(&reason),
        };
        if words.is_empty() {
            return Ok(Next::ReadOn);
        }
        match Line::try_parse_from(&words) {
            Ok(Line { said: Said::Quit }) => Ok(Next::Leave),
            Ok(Line { said: Said::Command(command) }) => {
                let ran = self.attached().map_err(Failure::Client).and_then(|()| {
                    Printer { client: &mut self.client, output: &mut *self.output }.run(&command)
                });
                ran.map_or_else(|failure| self.complain(&failure.to_string()), |()| Ok(Next::ReadOn))
            }
            Err(usage) if usage.use_stderr() => self.complain(usage.to_string().trim_end()),
            Err(help) => write!(self.output, "{help}").map(|()| Next::ReadOn),
        }
    }

    /// Attaches again after a lost connection. A session that has expired is replaced, and the user told.
    fn attached(&mut self) -> Result<(), ClientError> {
        if self.client.is_connected() {
            return Ok(());
        }
        match self.client.reconnect() {
            Err(ClientError::Expired) => {
                self.client = (self.connect)()?;
                // What cannot be printed here will show with the command itself.
                let _ = writeln!(self.errors, "the session has expired; this is a new one");
                Ok(())
            }
            other => other,
        }
    }

    fn complain(&mut self, reason: &str) -> io::Result<Next> {
        writeln!(self.errors, "{reason}").map(|()| Next::ReadOn)
    }
}
