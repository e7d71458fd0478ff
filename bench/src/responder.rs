//! A server that answers everything at once and keeps nothing: what is measured against it is the generator.
//!
//! An edge file: it serves sockets.

use crate::failure::Failure;
use crate::pause::pause;
use bytes::{Buf, Bytes, BytesMut};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use volery::wire::{
    ConnectRequest, ConnectResponse, ErrorCode, FRAME_BYTES_MAX_DEFAULT, OpResult, PASSWORD_BYTES, Reader,
    Record, Reply, ReplyHeader, Request, RequestHeader, Stat, take_frame, write_frame,
};

const LISTENER: Token = Token(0);
/// How soon it sees that it is to stop.
const GLANCE: Duration = Duration::from_millis(20);
/// What every directory has.
const CHILD: &str = "k0";
const RECEIVE_BYTES: usize = 256 * 1024;

/// The server. Every value is of `data`.
pub struct Responder {
    listener: TcpListener,
    address: SocketAddr,
    data: Bytes,
    failing: Option<u64>,
    stalling: Option<(u64, Duration)>,
}

/// One client of it.
struct Peer {
    stream: TcpStream,
    input: BytesMut,
    output: BytesMut,
    session: i64,
    greeted: bool,
    requests: u64,
}

impl Responder {
    /// Listens on the loopback interface; port 0 is any free one.
    pub fn bind(port: u16) -> Result<Responder, Failure> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener =
            TcpListener::bind(address).map_err(Failure::system(format!("listening on {address}")))?;
        let address = listener.local_addr().map_err(Failure::system("listening"))?;
        Ok(Responder {
            listener,
            address,
            data: Bytes::from_static(&[b'v'; 100]),
            failing: None,
            stalling: None,
        })
    }

    /// Answers every so many requests of a session with BadVersion, except in the first session.
    #[cfg(test)]
    pub fn failing(self, failing: Option<u64>) -> Responder {
        Responder { failing, ..self }
    }

    /// Answers nobody for a time, once, at the request of this number, those of the first session not counted.
    #[cfg(test)]
    pub fn stalling(self, stalling: Option<(u64, Duration)>) -> Responder {
        Responder { stalling, ..self }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until told to stop.
    pub fn serve(mut self, stop: &AtomicBool) -> Result<(), Failure> {
        self.poll(stop).map_err(Failure::system("serving"))
    }

    fn poll(&mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut poll = Poll::new()?;
        poll.registry().register(&mut self.listener, LISTENER, Interest::READABLE)?;
        let mut peers = BTreeMap::new();
        let mut accepted = 0;
        let mut buffer = vec![0; RECEIVE_BYTES];
        let mut events = Events::with_capacity(1024);
        while !stop.load(Ordering::Relaxed) {
            match poll.poll(&mut events, Some(GLANCE)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(&poll, &mut peers, &mut accepted)?,
                    token => {
                        let Some(peer) = peers.get_mut(&token) else { continue };
                        if self.turn(peer, &mut buffer).is_err() {
                            peers.remove(&token);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn accept(&self, poll: &Poll, peers: &mut BTreeMap<Token, Peer>, accepted: &mut usize) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            *accepted += 1;
            stream.set_nodelay(true)?;
            poll.registry().register(
                &mut stream,
                Token(*accepted),
                Interest::READABLE | Interest::WRITABLE,
            )?;
            let (input, output) = (BytesMut::new(), BytesMut::new());
            let session = *accepted as i64;
            let peer = Peer { stream, input, output, session, greeted: false, requests: 0 };
            peers.insert(Token(*accepted), peer);
        }
    }

    /// Any error ends the connection.
    fn turn(&mut self, peer: &mut Peer, buffer: &mut [u8]) -> io::Result<()> {
        let open = peer.receive(buffer)?;
        while let Some(frame) =
            take_frame(&mut peer.input, FRAME_BYTES_MAX_DEFAULT).map_err(io::Error::other)?
        {
            self.answer(peer, Reader::new(frame)).map_err(io::Error::other)?;
        }
        peer.flush()?;
        if open { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    fn answer(&mut self, peer: &mut Peer, mut reader: Reader) -> Result<(), volery::wire::BadRequest> {
        if !peer.greeted {
            peer.greeted = true;
            let request: ConnectRequest = reader.record()?;
            peer.greet(&request);
            return Ok(());
        }
        let header: RequestHeader = reader.record()?;
        let request = Request::read(header.op, &mut reader)?;
        peer.requests += 1;
        self.stall(peer.session);
        let fails = self.failing.is_some_and(|every| peer.session > 1 && peer.requests.is_multiple_of(every));
        let fails = fails && request != Request::CloseSession;
        match self.reply(request, fails) {
            Ok(reply) => reply.write_frame(header.xid, 1, &mut peer.output),
            Err(code) => {
                ReplyHeader { xid: header.xid, zxid: 1, error: Some(code) }.write_frame(&mut peer.output);
            }
        }
        Ok(())
    }

    fn stall(&mut self, session: i64) {
        match &mut self.stalling {
            Some((0, length)) => {
                pause(*length);
                self.stalling = None;
            }
            Some((left, _)) if session > 1 => *left -= 1,
            _ => {}
        }
    }

    fn reply(&self, request: Request, fails: bool) -> Result<Reply, ErrorCode> {
        match request {
            Request::Multi(ops) if fails => {
                let mut results = vec![OpResult::Failed(ErrorCode::RuntimeInconsistency); ops.len()];
                results[0] = OpResult::Failed(ErrorCode::BadVersion);
                Ok(Reply::Results(results))
            }
            _ if fails => Err(ErrorCode::BadVersion),
            Request::Multi(ops) => Ok(Reply::Results(vec![OpResult::DataSet(Stat::default()); ops.len()])),
            Request::Create(create) => Ok(Reply::Path(create.path)),
            Request::SetData(_) => Ok(Reply::Stat(Stat::default())),
            Request::GetData { .. } => {
                Ok(Reply::Data { data: Some(self.data.clone()), stat: Stat::default() })
            }
            Request::GetChildren { .. } => Ok(Reply::Names([CHILD].into_iter().collect())),
            Request::Delete(_) | Request::CloseSession => Ok(Reply::Empty),
            _ => Err(ErrorCode::Unimplemented),
        }
    }
}

impl Peer {
    /// Receives all that there is; false at the end of the stream.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(received) => self.input.extend_from_slice(&buffer[..received]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(sent) => self.output.advance(sent),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn greet(&mut self, request: &ConnectRequest) {
        let response = ConnectResponse {
            protocol_version: 0,
            timeout_ms: request.timeout_ms,
            session_id: self.session,
            password: Bytes::from_static(&[0; PASSWORD_BYTES]),
            read_only: request.read_only.map(|_| false),
        };
        write_frame(&mut self.output, |output| response.write(output));
    }
}
