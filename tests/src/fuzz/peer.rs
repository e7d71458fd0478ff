//! Target `peer`: somebody who speaks to a node's links, and what the messages that come through may be.

use super::draw::Draw;
use super::hostile::hostile;
use bytes::{BufMut, Bytes, BytesMut};
use eyrie::link::{
    Acquaintance, Channel, ConnectionId, Identity, Incarnation, LinkConfig, LinkEvent, LinkLimits, Links,
    Nonce, PROTOCOL_VERSION, StartNonce, Starts, StreamId,
};
use eyrie::{Fixed, FixedKey, LogPosition, NodeId, Request};
use multicast::{Entry, EntryBuilder};
use std::collections::BTreeMap;
use volery::service::Volery;

const CLUSTER: &str = "birds";
/// What is fixed for its life, and the digest of its value, "2".
const DEPTH: &str = "depth";
const DEPTH_DIGEST: u32 = 0x83a5_6a17;
const PARTITIONS: u16 = 4;
/// The node is dialled by 1 and dials 3.
const ME: NodeId = NodeId(2);
const PEERS: [NodeId; 2] = [NodeId(1), NodeId(3)];
const LIMITS: LinkLimits = LinkLimits {
    frame_bytes: 600,
    ring_outbox_bytes: 4_096,
    exchange_outbox_bytes: 2_048,
    bulk_outbox_bytes: 2_048,
};
/// What the links put for themselves is beyond their outboxes' caps: a hello or welcome, a refusal, heartbeats.
const OWN_BYTES: usize = 2_048;
const STEPS_MAX: usize = 64;
const CONNECTIONS: u64 = 8;
const CUTS: usize = 6;

const HELLO: u8 = 1;
const STARTS: u8 = 6;
const WELCOME: u8 = 2;
const REFUSE: u8 = 3;
const HEARTBEAT: u8 = 4;
const MESSAGE: u8 = 5;

/// One step of the story.
#[derive(Debug)]
enum Step {
    /// Somebody connects.
    Accept,
    /// A dial succeeds.
    Dialled(NodeId, Channel),
    /// A dial fails.
    DialFailed(NodeId, Channel),
    /// Bytes come; they are cut at these places, counted from the last cut.
    Bytes { connection: u64, bytes: Bytes, cuts: [usize; CUTS] },
    /// A connection ends.
    Closed(u64),
    /// Time passes.
    Tick(u64),
    /// A message is handed in, perhaps to wait for the log.
    Send { peer: NodeId, channel: Channel, after: Option<u64>, bytes: usize },
    /// The log is durable up to here.
    Durable(u64),
    /// A connection's output is written.
    Flush(u64),
}

/// With this byte an input begins that a whole node hears.
const HOSTILE: u8 = 255;

/// Plays a story of links whole and cut; or reads the input as a message of each kind; or tells it to a node.
pub fn peer(bytes: &[u8]) {
    if let Some((&HOSTILE, rest)) = bytes.split_first() {
        return hostile(rest);
    }
    let mut draw = Draw::new(bytes);
    if draw.below(4) == 3 {
        return messages(&Bytes::copy_from_slice(draw.rest()));
    }
    let story = story(&mut draw);
    assert_eq!(play(&story, false), play(&story, true), "what is heard depends on where bytes were cut");
}

/// Whatever decodes, encodes to what decodes to the same.
fn messages(bytes: &Bytes) {
    if let Ok(message) = multicast::Message::decode(bytes.clone()) {
        assert_eq!(multicast::Message::decode(message.encode()), Ok(message.clone()));
        if let multicast::Message::Submit(_, blob) = message {
            let _ = entry(blob);
        }
    }
    if let Ok(message) = eyrie::Message::decode(bytes.clone()) {
        assert_eq!(eyrie::Message::decode(message.encode()), Ok(message));
    }
    let _ = entry(bytes.clone());
    request(bytes);
}

/// An entry of submitted envelopes; `None` if it is malformed.
fn entry(blob: Bytes) -> Option<()> {
    let read = |blob: Bytes| {
        let mut entry = Entry::open(blob).ok()?;
        let mut envelopes = Vec::new();
        while let Some(envelope) = entry.next_envelope().ok()? {
            envelopes.push(envelope);
        }
        Some((entry.time(), envelopes))
    };
    let (time, envelopes) = read(blob)?;
    let mut builder = EntryBuilder::default();
    for (envelope, relayed) in &envelopes {
        builder.push(envelope, *relayed);
        request(&envelope.body);
    }
    if !builder.is_empty() {
        assert_eq!(read(builder.take(time)), Some((time, envelopes)));
    }
    Some(())
}

/// A command as a session submits it.
fn request(body: &[u8]) {
    if let Some(request) = Request::<Volery>::decode(body) {
        let again = Request::<Volery>::decode(&request.encode()).expect("what was encoded decodes");
        assert_eq!(format!("{request:?}"), format!("{again:?}"));
    }
}

fn story(draw: &mut Draw) -> Vec<Step> {
    let mut steps = Vec::new();
    while !draw.is_done() && steps.len() < STEPS_MAX {
        let (peer, channel) = (draw.choose(&PEERS), draw.choose(&Channel::ALL));
        steps.push(match draw.below(16) {
            0 | 1 => Step::Accept,
            2 => Step::Dialled(peer, channel),
            3 => Step::DialFailed(peer, channel),
            4..=9 => bytes(draw, peer, channel),
            10 => Step::Closed(draw.byte().into()),
            11 => Step::Tick(u64::from(draw.byte()) * 8),
            12 | 13 => {
                let after = draw.flag().then(|| draw.byte().into());
                Step::Send { peer, channel, after, bytes: usize::from(draw.short()) % LIMITS.frame_bytes }
            }
            14 => Step::Durable(draw.byte().into()),
            _ => Step::Flush(draw.byte().into()),
        });
    }
    steps
}

/// Some frames, good or bad, on one connection.
fn bytes(draw: &mut Draw, peer: NodeId, channel: Channel) -> Step {
    let connection = draw.byte().into();
    let mut out = BytesMut::new();
    for _ in 0..1 + draw.below(4) {
        match draw.below(12) {
            0..=2 => {
                put_frame(&mut out, HELLO, &hello(draw, peer, channel));
                put_frame(&mut out, STARTS, &starts(draw));
            }
            3 | 4 => put_frame(&mut out, WELCOME, &[]),
            5..=7 => put_frame(&mut out, MESSAGE, draw.bytes(60)),
            8 => put_frame(&mut out, HEARTBEAT, &[]),
            9 => put_frame(&mut out, REFUSE, draw.bytes(12)),
            10 => put_frame(&mut out, draw.byte(), draw.bytes(60)),
            _ => out.extend_from_slice(draw.bytes(60)),
        }
    }
    if draw.once_in(8) {
        let at = usize::from(draw.short()) % out.len().max(1);
        out.get_mut(at).into_iter().for_each(|byte| *byte ^= draw.byte());
    }
    Step::Bytes { connection, bytes: out.freeze(), cuts: std::array::from_fn(|_| usize::from(draw.byte())) }
}

/// A frame as the links' chapter draws it.
fn put_frame(out: &mut BytesMut, kind: u8, body: &[u8]) {
    let start = out.len();
    out.put_u32_le(body.len() as u32);
    out.put_u8(kind);
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&out[start..]), body);
    out.put_u32_le(checksum);
    out.put_slice(body);
}

/// Mostly the hello of a peer as it should be, in one of its starts and dials.
fn hello(draw: &mut Draw, peer: NodeId, channel: Channel) -> BytesMut {
    let (start, dial) = (u64::from(draw.choose(&[1u8, 1, 2, 0])), u64::from(draw.choose(&[1u8, 2, 3, 0])));
    let odd = draw.once_in(6);
    let mut odd = |value: u16| if odd && draw.flag() { draw.short() } else { value };
    let mut body = BytesMut::from(&b"vlnk"[..]);
    body.put_u16_le(odd(PROTOCOL_VERSION));
    body.put_u16_le(odd(peer.0));
    body.put_u16_le(odd(ME.0));
    body.put_u16_le(odd(PARTITIONS));
    body.put_u8(odd(channel as u16) as u8);
    body.put_u64_le(start);
    body.put_bytes(odd(peer.0) as u8, 16);
    // The epoch is of who dials: the peer's own start, or this node's.
    body.put_u64_le(if peer < ME { start } else { 1 });
    body.put_u64_le(dial);
    body.put_u8(odd(CLUSTER.len() as u16) as u8);
    body.put_slice(CLUSTER.as_bytes());
    body.put_u8(odd(1) as u8);
    body.put_u8(odd(DEPTH.len() as u16) as u8);
    body.put_slice(DEPTH.as_bytes());
    body.put_u32_le(DEPTH_DIGEST);
    body
}

/// Mostly the starts of a directory as they should be.
fn starts(draw: &mut Draw) -> BytesMut {
    let mut body = BytesMut::new();
    body.put_u64_le(draw.byte().into());
    body.put_u8(if draw.once_in(9) { draw.byte() } else { 1 });
    body.put_u64_le(1);
    for start in 0..draw.choose(&[1u64, 1, 2, 0]) {
        body.put_u64_le(start + u64::from(draw.once_in(9)));
        body.put_u64_le(start);
    }
    body
}

fn fixed() -> Fixed {
    Fixed::default().with(FixedKey::new(DEPTH), "2")
}

/// What was heard and written.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    events: Vec<LinkEvent>,
    written: BTreeMap<ConnectionId, BytesMut>,
}

fn play(story: &[Step], cut: bool) -> Heard {
    let mut links = links();
    let (mut opened, mut now_ms) = (0, 0);
    let mut heard = Heard { events: Vec::new(), written: BTreeMap::new() };
    for step in story {
        match *step {
            Step::Accept if opened < CONNECTIONS => {
                links.accepted(ConnectionId(opened));
                opened += 1;
            }
            Step::Dialled(peer, channel) if opened < CONNECTIONS => {
                links.dialled(ConnectionId(opened), peer, channel);
                opened += 1;
            }
            Step::Accept | Step::Dialled(..) => {}
            Step::DialFailed(peer, channel) => links.dial_failed(peer, channel),
            Step::Bytes { connection, ref bytes, cuts } => {
                let id = ConnectionId(connection % opened.max(1));
                let mut rest = &bytes[..];
                for cut in cuts.into_iter().filter(|place| cut && *place > 0) {
                    let (piece, after) = rest.split_at(cut.min(rest.len()));
                    links.received(id, piece);
                    rest = after;
                }
                links.received(id, rest);
            }
            Step::Closed(connection) => links.closed(ConnectionId(connection % opened.max(1))),
            Step::Tick(ms) => {
                now_ms += ms;
                links.tick(now_ms);
            }
            Step::Send { peer, channel, after, bytes } => {
                links.send(peer, channel, StreamId(0), after.map(LogPosition), vec![7; bytes].into());
            }
            Step::Durable(position) => links.durable(LogPosition(position)),
            Step::Flush(connection) => {
                flush(&mut links, ConnectionId(connection % opened.max(1)), &mut heard)
            }
        }
        drain(&mut links, &mut heard);
        links.check_invariants();
        links.take_ready();
        check_bounds(&mut links);
    }
    (0..CONNECTIONS).for_each(|id| flush(&mut links, ConnectionId(id), &mut heard));
    heard
}

fn links() -> Links {
    let mut links = Links::new(LinkConfig {
        me: ME,
        identity: Identity { incarnation: Incarnation(1), nonce: Nonce([2; 16]) },
        starts: Starts::begin(None, StartNonce(2), LogPosition(0)).expect("a first start"),
        durable: LogPosition(0),
        cluster: CLUSTER.into(),
        partitions: PARTITIONS,
        fixed: fixed(),
        peers: PEERS.into_iter().map(|peer| (peer, Acquaintance::default())).collect(),
        limits: LIMITS,
        seed: 1,
    });
    links.tick(0);
    links
}

fn drain(links: &mut Links, heard: &mut Heard) {
    while let Some(event) = links.next_event() {
        if let LinkEvent::Message { bytes, .. } = &event {
            messages(bytes);
        }
        heard.events.push(event);
    }
}

fn flush(links: &mut Links, id: ConnectionId, heard: &mut Heard) {
    if let Some(output) = links.output(id) {
        heard.written.entry(id).or_default().unsplit(output.split());
    }
}

fn check_bounds(links: &mut Links) {
    let outbox_bytes = LIMITS.ring_outbox_bytes.max(LIMITS.exchange_outbox_bytes);
    for id in (0..CONNECTIONS).map(ConnectionId) {
        let waiting = links.output(id).map_or(0, |output| output.len());
        assert!(waiting <= outbox_bytes + OWN_BYTES, "{waiting} bytes wait for a connection");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(bytes: BytesMut) -> Step {
        Step::Bytes { connection: 0, bytes: bytes.freeze(), cuts: [3; CUTS] }
    }

    #[test]
    fn a_good_handshake_brings_messages_through() {
        let mut frames = BytesMut::new();
        put_frame(&mut frames, HELLO, &hello(&mut Draw::new(&[]), PEERS[0], Channel::Ring));
        put_frame(&mut frames, STARTS, &starts(&mut Draw::new(&[])));
        put_frame(&mut frames, WELCOME, &[]);
        put_frame(&mut frames, MESSAGE, b"nest");
        for cut in [false, true] {
            let heard = play(&[Step::Accept, bytes(frames.clone())], cut);
            let message = LinkEvent::Message {
                peer: PEERS[0],
                channel: Channel::Ring,
                bytes: Bytes::from_static(b"nest"),
            };
            assert_eq!(heard.events.last(), Some(&message), "{heard:?}");
            assert_eq!(heard.written[&ConnectionId(0)][4], HELLO);
        }
    }
}
