//! A real server for a test, and bytes to and from it.
#![allow(clippy::disallowed_methods, dead_code, reason = "drives a real process; each test uses its part")]

pub mod nodes;

use bytes::{Bytes, BytesMut};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use volery::client::Client;
use volery::wire::{
    ConnectRequest, ConnectResponse, Reader, Record, ReplyHeader, Request, take_frame, write_frame,
};

pub const BINARY: &str = env!("CARGO_BIN_EXE_volery");
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A server that is killed with the test.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// Kept, or what the server says would break a pipe.
    _says: BufReader<ChildStdout>,
}

impl Server {
    pub fn start(data: &Path) -> Server {
        let port = free_port();
        Server::of(serve(port, data, &[]), port)
    }

    /// A server that may have so many files and connections open.
    pub fn start_with_files(data: &Path, files: u64) -> Server {
        let port = free_port();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {files}; exec \"$@\""), "sh", BINARY, "serve"]);
        command.args(["--port", &port.to_string(), "--data-dir"]).arg(data);
        Server::of(command, port)
    }

    fn of(mut command: Command, port: u16) -> Server {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary");
        let mut says = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        while !line.contains("clients connect") {
            assert!(says.read_line(&mut line).expect("a pipe") > 0, "the server ended: {line}");
        }
        Server { child, address, _says: says }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a server that listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream
    }

    /// Sends bytes and returns all that comes back until the server closes the connection.
    pub fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(bytes).expect("a connection");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("a connection that is closed in time");
        answer
    }

    pub fn is_well(&self) -> bool {
        let mut client = Client::connect(self.address, PATIENCE).expect("a session");
        client.exists("/zookeeper").expect("an answer").is_some()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A session whose requests are written as the test likes.
pub struct Raw {
    pub stream: TcpStream,
    input: BytesMut,
    /// The session's id and password.
    pub session: (i64, Bytes),
}

impl Raw {
    /// A new session.
    pub fn open(server: &Server) -> Raw {
        let mut raw = Raw::on(server.connect());
        raw.greet();
        raw.expect_welcome();
        raw
    }

    /// A connection on which nothing was said.
    pub fn on(stream: TcpStream) -> Raw {
        Raw { stream, input: BytesMut::new(), session: (0, Bytes::from_static(&[0; 16])) }
    }

    /// Asks for the session, or for a new one if there is none.
    pub fn greet(&mut self) {
        let hello = self.hello();
        self.stream.write_all(&hello).expect("a connection");
    }

    /// Asks for it, and says whether there is an answer: the server may close the connection instead.
    pub fn is_taken(&mut self) -> bool {
        let hello = self.hello();
        self.stream.write_all(&hello).is_ok() && self.stream.peek(&mut [0]).is_ok_and(|length| length > 0)
    }

    fn hello(&self) -> BytesMut {
        let mut output = BytesMut::new();
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: 10_000,
            session_id: self.session.0,
            password: self.session.1.clone(),
            read_only: None,
        };
        write_frame(&mut output, |output| request.write(output));
        output
    }

    /// Waits for the session.
    pub fn expect_welcome(&mut self) {
        let welcome = ConnectResponse::read(&mut Reader::new(self.frame())).expect("a welcome");
        assert_ne!(welcome.session_id, 0);
        self.session = (welcome.session_id, welcome.password);
    }

    /// Writes all requests at once, numbered from 1.
    pub fn send(&mut self, requests: &[Request]) {
        let mut output = BytesMut::new();
        for (xid, request) in (1..).zip(requests) {
            request.write_frame(xid, &mut output);
        }
        self.stream.write_all(&output).expect("a connection");
    }

    pub fn frame(&mut self) -> Bytes {
        let mut buffer = vec![0; 1 << 16];
        loop {
            if let Some(frame) = take_frame(&mut self.input, usize::MAX >> 33).expect("a frame") {
                return frame;
            }
            let length = self.stream.read(&mut buffer).expect("an answer in time");
            assert!(length > 0, "the server has closed the connection");
            self.input.extend_from_slice(&buffer[..length]);
        }
    }

    pub fn reply(&mut self) -> (ReplyHeader, Reader) {
        let mut reader = Reader::new(self.frame());
        (ReplyHeader::read(&mut reader).expect("a header"), reader)
    }

    pub fn expect_replies(&mut self, count: i32) {
        for xid in 1..=count {
            let (header, _) = self.reply();
            assert_eq!((header.xid, header.error), (xid, None));
        }
    }
}

/// A request for a znode's data.
pub fn get(path: &str) -> Request {
    Request::GetData { path: path.into(), watch: false }
}

/// What a server answers to four letters.
pub fn four_letters(address: SocketAddr, word: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a server that listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.write_all(word.as_bytes()).expect("a connection");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer in time");
    answer
}

/// Waits until a look sees something.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr()).expect("a free port").port()
}

pub fn serve(port: u16, data: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(["serve", "--port", &port.to_string(), "--data-dir"]).arg(data).args(more);
    command
}
