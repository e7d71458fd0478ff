//! The operator's command line: `volery cli --server HOST:PORT [COMMAND]`, and without a command a shell.
//!
//! It speaks to Volery and to ZooKeeper alike. Output goes to standard output, one line per thing; an error is one line
//! on standard error that names the path and the reason.
//!
//! # Caveats
//!
//! - One command is one session, so an ephemeral znode created by one goes with it at once. In the shell it stays.
//! - `ls -R` and `delete -R` walk the tree request by request, and are not atomic.
//! - `watch` ends with an error when the connection is lost.

mod command;
mod failure;
mod printer;
mod shell;
mod timestamp;
mod words;

pub use command::{Command, CreateArguments};

use crate::client::{Client, ClientError};
use clap::Args;
use failure::Failure;
use printer::Printer;
use shell::Shell;
use std::io::{self, IsTerminal, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

/// Looks at a server and changes what it holds.
#[derive(Clone, Debug, Args)]
pub struct CliArguments {
    /// The servers to try, separated by commas.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2181")]
    pub server: String,
    /// The session's timeout.
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    pub timeout_ms: u32,
    /// An identity, such as digest:user:password; may be repeated.
    #[arg(long, value_name = "SCHEME:CREDENTIALS", value_parser = identity)]
    pub auth: Vec<(String, String)>,
    /// What to do; without it a shell reads commands line by line.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Runs the command line. The exit code is 1 if the command failed, or if there is no session for the shell.
pub fn run(arguments: CliArguments) -> ExitCode {
    match ran(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that has seen enough, such as `head`, is not worth a message.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(failure) => {
            // There is nowhere else to say it.
            let _ = writeln!(io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}

fn ran(arguments: &CliArguments) -> Result<(), Failure> {
    let connect = || connect(arguments);
    let mut client = connect().map_err(Failure::Client)?;
    let mut output = io::stdout().lock();
    let Some(command) = &arguments.command else {
        let prompt = io::stdin().is_terminal().then(|| format!("{}> ", arguments.server));
        let (output, errors) = (&mut output, &mut io::stderr());
        return Shell { client, output, errors, prompt, connect: &connect }.run(&mut io::stdin().lock());
    };
    Printer { client: &mut client, output: &mut output }.run(command)?;
    output.flush()?;
    client.close().map_err(Failure::Client)
}

fn connect(arguments: &CliArguments) -> Result<Client, ClientError> {
    let timeout = Duration::from_millis(u64::from(arguments.timeout_ms));
    let mut client = Client::connect(addresses(&arguments.server)?.as_slice(), timeout)?;
    for (scheme, credentials) in &arguments.auth {
        client.add_auth(scheme, credentials.clone())?;
    }
    Ok(client)
}

/// Every address of every server named.
fn addresses(servers: &str) -> Result<Vec<SocketAddr>, ClientError> {
    let mut addresses = Vec::new();
    for server in servers.split(',') {
        let resolved = server.to_socket_addrs();
        addresses.extend(resolved.map_err(|error| ClientError::Unreachable {
            servers: server.to_owned(),
            reason: error.to_string(),
        })?);
    }
    Ok(addresses)
}

fn identity(argument: &str) -> Result<(String, String), String> {
    let parts = argument.split_once(':').ok_or("it has the form SCHEME:CREDENTIALS")?;
    Ok((parts.0.to_owned(), parts.1.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        cli: CliArguments,
    }

    #[test]
    fn a_command_line_is_read() {
        let words = ["cli", "--server", "a:1,b:2", "--auth", "digest:me:secret", "get", "-s", "/a"];
        let cli = Program::try_parse_from(words).unwrap().cli;
        assert_eq!(cli.server, "a:1,b:2");
        assert_eq!(cli.auth, [("digest".to_owned(), "me:secret".to_owned())]);
        assert_eq!(cli.command, Some(Command::Get { stat: true, path: "/a".to_owned() }));
        assert_eq!(Program::try_parse_from(["cli"]).unwrap().cli.command, None);
        assert!(Program::try_parse_from(["cli", "--auth", "digest", "get", "/a"]).is_err());
    }

    #[test]
    fn servers_are_a_list() {
        let expected: Vec<SocketAddr> = vec!["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()];
        assert_eq!(addresses("127.0.0.1:1,[::1]:2").unwrap(), expected);
        assert!(addresses("nowhere").unwrap_err().to_string().starts_with("cannot connect to nowhere: "));
    }
}
