//! `volery status`: a node's status as a table or as JSON.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line speaks to a person")]

use crate::status::Status;
use clap::Args;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

/// Which node, and how it is shown.
#[derive(Args)]
pub struct StatusArguments {
    /// Where the node's clients connect.
    #[arg(long, default_value = "127.0.0.1:2181")]
    server: SocketAddr,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Asks a node and prints what it says.
pub fn run(arguments: &StatusArguments) -> ExitCode {
    let status = match ask(arguments.server) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("volery status: {}: {error}", arguments.server);
            return ExitCode::FAILURE;
        }
    };
    match arguments.json {
        true => println!("{}", serde_json::to_string_pretty(&status).unwrap_or_default()),
        false => print!("{}", table(&status)),
    }
    ExitCode::SUCCESS
}

fn ask(server: SocketAddr) -> io::Result<Status> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"vlry")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    serde_json::from_str(&answer).map_err(|_| io::Error::other("not a volery node"))
}

fn table(status: &Status) -> String {
    let mut lines = format!(
        "node {}, started {} times: {} znodes ({} ephemeral, {} bytes), {} sessions, {} connections, {} watches\n\
         log: {} bytes, {} syncs; commands: {} delivered, {} in flight, {} sent again\n\n",
        status.node,
        status.incarnation,
        status.znodes,
        status.ephemerals,
        status.data_bytes,
        status.sessions,
        status.connections,
        status.watches,
        status.log.bytes,
        status.log.syncs,
        status.delivered,
        status.in_flight,
        status.resent,
    );
    lines += &format!("{:<8}{:<8}{:>12}{:>12}\n", "ring", "leader", "decided", "accepted");
    for ring in &status.rings {
        let leads = if ring.leads { "here" } else { "-" };
        lines += &format!("{:<8}{:<8}{:>12}{:>12}\n", ring.ring, leads, ring.decided, ring.accepted);
    }
    lines += &format!(
        "\n{:<11}{:>12}{:>10}{:>10}{:>12}{:>12}  {}\n",
        "partition", "position", "znodes", "sessions", "executed", "multi", "state hash"
    );
    for partition in &status.partitions {
        lines += &format!(
            "{:<11}{:>12}{:>10}{:>10}{:>12}{:>12}  {}\n",
            partition.partition,
            partition.position,
            partition.znodes,
            partition.sessions,
            partition.executed,
            partition.multi_partition,
            partition.state_hash,
        );
    }
    lines
}
