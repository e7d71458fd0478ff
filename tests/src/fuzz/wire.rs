//! Target `wire`: bytes as records of ZooKeeper's protocol, in both directions.

use super::draw::Draw;
use bytes::{Bytes, BytesMut};
use std::fmt::Debug;
use volery::wire::{
    Acl, ConnectRequest, ConnectResponse, OpCode, Reader, Record, Reply, ReplyHeader, Request, RequestHeader,
    Stat, WatcherEvent, take_frame, write_frame,
};

/// Reads the input as one thing that travels on a connection, chosen by its first byte.
pub fn wire(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    match draw.below(12) {
        0 => record::<ConnectRequest>(draw.rest()),
        1 => record::<ConnectResponse>(draw.rest()),
        2 => record::<RequestHeader>(draw.rest()),
        3 => record::<ReplyHeader>(draw.rest()),
        4 => record::<WatcherEvent>(draw.rest()),
        5 => record::<Stat>(draw.rest()),
        6 => record::<Acl>(draw.rest()),
        7 => frames(draw),
        8 | 9 => reply(draw),
        _ => request(draw),
    }
}

/// What is read is written as bytes that are read as the same, to the last of them.
fn round_trip<T: PartialEq + Debug>(
    value: &T,
    write: impl Fn(&T, &mut BytesMut),
    read: impl Fn(&mut Reader) -> T,
) -> usize {
    let mut output = BytesMut::new();
    write(value, &mut output);
    let length = output.len();
    let mut reader = Reader::new(output.freeze());
    assert_eq!(read(&mut reader), *value, "it comes back as something else");
    assert_eq!(reader.remaining(), 0, "more is written than is read");
    length
}

fn record<R: Record + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(record) = Reader::new(Bytes::copy_from_slice(bytes)).record::<R>() else { return };
    let length = round_trip(&record, R::write, |reader| reader.record().expect("what was written is read"));
    assert!(length >= R::BYTES_MIN, "a record shorter than the shortest");
}

/// An operation's number, now and then one that there is not.
fn op(draw: &mut Draw) -> i32 {
    let place = usize::from(draw.byte());
    OpCode::ALL.get(place % (OpCode::ALL.len() + 1)).map_or(place as i32, |op| op.number())
}

fn request(mut draw: Draw) {
    let op = op(&mut draw);
    let Ok(request) = Request::read(op, &mut Reader::new(Bytes::copy_from_slice(draw.rest()))) else {
        return;
    };
    round_trip(&request, Request::write, |reader| {
        Request::read(request.op().number(), reader).expect("what was written is read")
    });
}

fn reply(mut draw: Draw) {
    let Ok(op) = OpCode::try_from(op(&mut draw)) else { return };
    let Ok(reply) = Reply::read(op, &mut Reader::new(Bytes::copy_from_slice(draw.rest()))) else { return };
    round_trip(&reply, Reply::write, |reader| Reply::read(op, reader).expect("what was written is read"));
}

/// Frames are the same however their bytes are cut, and are written as they came.
fn frames(mut draw: Draw) {
    let (bytes_max, cut) = (usize::from(draw.byte()), 1 + usize::from(draw.byte()));
    let sent = draw.rest();
    let (whole, end) = taken(sent.chunks(sent.len().max(1)), bytes_max);
    assert_eq!(taken(sent.chunks(cut), bytes_max), (whole.clone(), end), "cut after {cut} bytes");
    let mut written = BytesMut::new();
    for frame in &whole {
        assert!(frame.len() <= bytes_max, "a frame over the cap");
        write_frame(&mut written, |output| output.extend_from_slice(frame));
    }
    assert!(sent.starts_with(&written), "frames are not written as they came");
}

/// The frames in some pieces, and whether a bad one ended them.
fn taken<'a>(pieces: impl Iterator<Item = &'a [u8]>, bytes_max: usize) -> (Vec<Bytes>, bool) {
    let (mut input, mut frames) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match take_frame(&mut input, bytes_max) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
    }
    (frames, false)
}
