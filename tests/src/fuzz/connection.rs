//! Target `connection`: what clients send to a node that is alone, whole and cut into pieces.

use super::draw::Draw;
use super::requests;
use super::served::{Served, config};
use bytes::{Bytes, BytesMut};
use eyrie::ConnectionId;
use volery::session::SessionId;
use volery::wire::{ConnectRequest, Record as _, Request, write_frame};

/// Connections that are open at a time.
const CLIENTS: usize = 3;
const STEPS_MAX: usize = 48;
/// The first session that the node opens in its first start.
const FIRST_SESSION: u64 = (1 << 32) | 1;
/// More cuts than this say nothing new.
const CUTS: usize = 6;

/// One step of the story.
#[derive(Debug)]
enum Step {
    /// Bytes of a client; they are cut at these places, counted from the last cut.
    Send { client: usize, bytes: Bytes, cuts: [usize; CUTS] },
    /// A client goes, and another comes in its place.
    HangUp(usize),
    /// A turn is taken.
    Turn,
    /// Halves of a second pass.
    Wait(usize),
}

/// Plays the story whole, plays it cut, and starts the node again.
pub fn connection(bytes: &[u8]) {
    let story = story(&mut Draw::new(bytes));
    let (whole, cut) = (play(&story, false), play(&story, true));
    assert_eq!(whole.sent(), cut.sent(), "answers depend on where bytes were cut");
    assert_eq!(whole.state_hashes(), cut.state_hashes(), "state depends on where bytes were cut");
    let before = whole.state_hashes();
    assert_eq!(whole.restarted().found(), before, "a restart finds another state");
}

fn story(draw: &mut Draw) -> Vec<Step> {
    let mut xids = 1..;
    let mut steps: Vec<Step> =
        (0..CLIENTS).map(|client| send(draw, client, handshake(&mut Draw::new(&[])))).collect();
    steps.push(Step::Turn);
    while !draw.is_done() && steps.len() < STEPS_MAX {
        let client = draw.below(CLIENTS);
        match draw.below(24) {
            0..=13 => {
                let bytes = pipeline(draw, &mut xids);
                steps.push(send(draw, client, bytes));
            }
            14 => {
                let bytes = damaged(pipeline(draw, &mut xids), draw);
                steps.push(send(draw, client, bytes));
            }
            15 => steps.push(Step::HangUp(client)),
            16 | 17 => {
                let bytes = handshake(draw);
                steps.push(send(draw, client, bytes));
            }
            18 => {
                let bytes = damaged(handshake(draw), draw);
                steps.push(send(draw, client, bytes));
            }
            19 => {
                let word = draw.choose(&[
                    "ruok", "srvr", "stat", "mntr", "isro", "conf", "cons", "envi", "vlry", "quit",
                ]);
                steps.push(send(draw, client, BytesMut::from(word)));
            }
            20 => {
                let bytes = BytesMut::from(draw.bytes(40));
                steps.push(send(draw, client, bytes));
            }
            21 => steps.push(Step::Wait(1 + draw.below(6))),
            _ => steps.push(Step::Turn),
        }
        if draw.flag() {
            steps.push(Step::Turn);
        }
    }
    steps
}

fn send(draw: &mut Draw, client: usize, bytes: BytesMut) -> Step {
    Step::Send { client, bytes: bytes.freeze(), cuts: std::array::from_fn(|_| usize::from(draw.byte())) }
}

/// Some requests in one burst.
fn pipeline(draw: &mut Draw, xids: &mut impl Iterator<Item = i32>) -> BytesMut {
    let mut bytes = BytesMut::new();
    for xid in xids.take(1 + draw.below(4)) {
        let request = if draw.once_in(64) { Request::CloseSession } else { requests::request(draw) };
        request.write_frame(xid, &mut bytes);
    }
    bytes
}

/// A new session, or one of those that there may be, with its password or another.
fn handshake(draw: &mut Draw) -> BytesMut {
    let opened = draw.choose(&[0, 0, 1, 2, 3, 4]);
    let session = if opened == 0 { 0 } else { FIRST_SESSION + opened - 1 };
    let password = match draw.once_in(8) {
        true => Bytes::from_static(b"guessed"),
        false => Bytes::copy_from_slice(&config().password_of(SessionId(session)).0),
    };
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: draw.choose(&[0, 0, 0, 1 << 60, -1]),
        timeout_ms: draw.choose(&[2_000, 4_000, 0, -1]),
        session_id: session as i64,
        password,
        read_only: draw.choose(&[Some(false), None, Some(true)]),
    };
    let mut bytes = BytesMut::new();
    write_frame(&mut bytes, |output| request.write(output));
    bytes
}

/// The bytes with one of them changed, or without their end.
fn damaged(mut bytes: BytesMut, draw: &mut Draw) -> BytesMut {
    let at = usize::from(draw.short()) % bytes.len();
    match draw.flag() {
        true => bytes[at] = draw.byte(),
        false => bytes.truncate(at),
    }
    bytes
}

/// Plays the story until nothing moves any more.
fn play(story: &[Step], cut: bool) -> Served {
    let mut served = Served::on_empty_disk();
    let mut fresh = (0..).map(ConnectionId);
    let mut next = |served: &mut Served| {
        let id = fresh.next().expect("there is always another");
        served.connect(id);
        id
    };
    let mut clients: [ConnectionId; CLIENTS] = std::array::from_fn(|_| next(&mut served));
    for step in story {
        match step {
            Step::Send { client, bytes, cuts } => {
                if !served.is_connected(clients[*client]) {
                    clients[*client] = next(&mut served);
                }
                let pieces = if cut { pieces(bytes, cuts) } else { vec![&bytes[..]] };
                pieces.into_iter().for_each(|piece| served.receive(clients[*client], piece));
            }
            Step::HangUp(client) => served.hang_up(clients[*client]),
            Step::Turn => {
                served.turn();
            }
            Step::Wait(halves) => served.wait(*halves),
        }
    }
    served.settle();
    served
}

/// The bytes cut into pieces; a cut at 0 is none.
fn pieces<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let mut pieces = Vec::new();
    for cut in cuts.iter().filter(|cut| **cut > 0) {
        let (piece, after) = rest.split_at((*cut).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use volery::wire::{ConnectResponse, Reader, take_frame};

    #[test]
    fn every_client_begins_with_a_session() {
        let served = play(&story(&mut Draw::new(&[])), true);
        assert_eq!(served.sent().len(), CLIENTS);
        for (place, sent) in served.sent().values().enumerate() {
            let frame = take_frame(&mut sent.bytes.clone(), 100).expect("a frame").expect("a whole one");
            let response = ConnectResponse::read(&mut Reader::new(frame)).expect("an answer");
            assert_eq!(response.session_id as u64, FIRST_SESSION + place as u64);
        }
    }

    #[test]
    fn cuts_lose_nothing() {
        let bytes = Bytes::from_static(b"abcdefghij");
        assert_eq!(pieces(&bytes, &[1, 0, 3, 200]), [&b"a"[..], b"bcd", b"efghij"]);
    }
}
