//! A process: a node and its edge, as the host has it: the turn of [`host`](crate::host), with this world's clocks, disk and network.

use super::disk::SimDisk;
use super::network::{EndId, Network, Place, Port};
use crate::front::{ConnectionId, Front};
use crate::node::Node;
use crate::peers::{Deed, Peers};
use crate::service::StateMachine;
use multicast::link::{self, Identity, Incarnation, LinkConfig, LinkLimits, Nonce};
use multicast::log::Buffer;
use multicast::{Fixed, NodeId, RingId};
use rand::rngs::SmallRng;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

/// How much is read from a connection in one turn.
const READ_BYTES_MAX: usize = 64 * 1024;

/// What a process has around it.
pub(super) struct Surroundings<'a> {
    pub(super) network: &'a mut Network,
    pub(super) disk: &'a SimDisk,
    pub(super) rng: &'a mut SmallRng,
    /// How long a write takes from now on.
    pub(super) sync_us: u64,
    pub(super) now_us: u64,
}

/// What is being written.
struct Writing {
    buffer: Buffer,
    done_us: u64,
    /// How many entries each ring has with it.
    logged: Vec<(RingId, u64)>,
}

/// Who a process is among its peers.
#[derive(Clone)]
pub(super) struct Membership {
    pub(super) me: usize,
    /// The ids of all nodes, by machine.
    pub(super) ids: Vec<NodeId>,
    pub(super) partitions: u16,
    pub(super) nonce: Nonce,
}

/// A process that runs.
pub(super) struct Process<S: StateMachine, F: Front<S>> {
    node: Node<S, F>,
    membership: Membership,
    /// Once the node has taken up what its log held.
    peers: Option<Peers>,
    writing: Option<Writing>,
    clients: BTreeSet<EndId>,
    links: BTreeSet<EndId>,
    /// Ends with output that did not fit.
    stuck: BTreeSet<EndId>,
    knocks: Vec<(Port, EndId)>,
    /// How many entries of each ring are synced.
    durable: Vec<(RingId, u64)>,
    busy: bool,
}

impl<S: StateMachine, F: Front<S>> Process<S, F> {
    pub(super) fn new(
        node: Node<S, F>,
        membership: Membership,
        durable: Vec<(RingId, u64)>,
    ) -> Process<S, F> {
        Process {
            node,
            membership,
            peers: None,
            writing: None,
            clients: BTreeSet::new(),
            links: BTreeSet::new(),
            stuck: BTreeSet::new(),
            knocks: Vec::new(),
            durable,
            busy: false,
        }
    }

    pub(super) fn node(&mut self) -> &mut Node<S, F> {
        &mut self.node
    }

    /// Whether it has taken up its log.
    pub(super) fn serves(&self) -> bool {
        self.peers.is_some()
    }

    /// How many entries of each ring are synced here.
    pub(super) fn durable(&self) -> &[(RingId, u64)] {
        &self.durable
    }

    /// Whether there is something to do at once.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// When what is being written will be there.
    pub(super) fn written_us(&self) -> Option<u64> {
        self.writing.as_ref().map(|writing| writing.done_us)
    }

    /// Somebody has dialled.
    pub(super) fn knock(&mut self, port: Port, end: EndId) {
        self.knocks.push((port, end));
    }

    /// What was being written when the process died, if anything.
    pub(super) fn into_writing(self) -> Option<Buffer> {
        self.writing.map(|writing| writing.buffer)
    }

    /// One turn. Says why the process dies, if it does.
    pub(super) fn turn(
        &mut self,
        now_ms: u64,
        wall_ms: u64,
        world: &mut Surroundings<'_>,
    ) -> Result<(), String> {
        self.busy = false;
        self.node.tick(now_ms, wall_ms);
        if self.peers.is_none() {
            return self.replay(now_ms, world);
        }
        self.accept();
        self.read_clients(world);
        self.hear(now_ms, world);
        self.take_durable(world)?;
        self.write(world)?;
        self.node.deliver().map_err(|error| error.to_string())?;
        self.busy |= self.node.is_behind();
        self.speak(world);
        self.node.check_reads().map_err(|error| error.to_string())?;
        if self.node.wants_status() {
            self.node.show_status(0);
        }
        self.flush(world);
        self.node.check_invariants();
        Ok(())
    }

    /// Takes up what the log holds, as [`Host::replay`](crate::host::Host::replay) does; nobody is heard before.
    fn replay(&mut self, now_ms: u64, world: &mut Surroundings<'_>) -> Result<(), String> {
        self.take_durable(world)?;
        self.node.deliver().map_err(|error| error.to_string())?;
        if self.writing.is_some() || self.write(world)? {
            return Ok(());
        }
        self.node.restarted();
        let mut peers = Peers::new(self.link_config());
        peers.tick(now_ms);
        self.peers = Some(peers);
        self.busy = true;
        Ok(())
    }

    fn link_config(&self) -> LinkConfig {
        let Membership { me, ids, partitions, nonce } = self.membership.clone();
        let incarnation = u64::from(self.node.incarnation());
        let others = ids.iter().copied().filter(|id| *id != ids[me]);
        LinkConfig {
            me: ids[me],
            identity: Identity { incarnation: Incarnation(incarnation), nonce },
            starts: self.node.starts().clone(),
            durable: self.node.durable(),
            cluster: "simulated".into(),
            partitions,
            fixed: Fixed::default(),
            peers: others.map(|peer| (peer, self.node.acquaintance(peer))).collect(),
            limits: LinkLimits::default(),
            seed: ((me as u64) << 48) ^ incarnation,
        }
    }

    fn place(&self) -> Place {
        Place::Node(self.membership.me)
    }

    fn accept(&mut self) {
        for (port, end) in std::mem::take(&mut self.knocks) {
            match (port, &mut self.peers) {
                (Port::Peer, Some(peers)) => {
                    self.links.insert(end);
                    peers.accepted(link::ConnectionId(end.0));
                }
                _ => {
                    self.clients.insert(end);
                    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000));
                    self.node.connected(ConnectionId(end.0), address);
                }
            }
        }
    }

    fn read_clients(&mut self, world: &mut Surroundings<'_>) {
        let place = self.place();
        for end in world.network.readable(place) {
            let id = ConnectionId(end.0);
            if !self.clients.contains(&end) || !self.node.front().reading(id) {
                continue;
            }
            match world.network.read(end, READ_BYTES_MAX) {
                Some(bytes) if bytes.is_empty() => {}
                Some(bytes) => {
                    self.busy = true;
                    self.node.received(id, &bytes);
                }
                None => {
                    self.clients.remove(&end);
                    world.network.close(end, world.rng);
                    self.node.disconnected(id);
                }
            }
        }
    }

    fn hear(&mut self, now_ms: u64, world: &mut Surroundings<'_>) {
        let place = self.place();
        let Process { node, peers: Some(peers), links, busy, .. } = self else { return };
        peers.tick(now_ms);
        for end in world.network.readable(place) {
            if !links.contains(&end) {
                continue;
            }
            match world.network.read(end, READ_BYTES_MAX) {
                Some(bytes) if bytes.is_empty() => {}
                Some(bytes) => {
                    *busy = true;
                    peers.received(link::ConnectionId(end.0), &bytes);
                }
                None => {
                    links.remove(&end);
                    world.network.close(end, world.rng);
                    peers.closed(link::ConnectionId(end.0));
                }
            }
        }
        peers.hear(node);
        self.act(world);
    }

    fn speak(&mut self, world: &mut Surroundings<'_>) {
        let Process { node, peers: Some(peers), .. } = self else { return };
        peers.speak(node);
        peers.hear(node);
        self.act(world);
        if let Some(peers) = &mut self.peers {
            self.stuck.extend(peers.take_ready().into_iter().map(|id| EndId(id.0)));
        }
    }

    fn act(&mut self, world: &mut Surroundings<'_>) {
        let place = self.place();
        let Process { peers: Some(peers), links, membership, .. } = self else { return };
        while let Some(deed) = peers.next_deed() {
            match deed {
                Deed::Dial(peer, channel) => {
                    let machine = membership.ids.binary_search(&peer).expect("a peer is one of the nodes");
                    let to = Place::Node(machine);
                    let end = world.network.dial(place, to, Port::Peer, world.rng);
                    links.insert(end);
                    peers.dialled(link::ConnectionId(end.0), peer, channel);
                }
                Deed::Close(id, farewell) => {
                    let end = EndId(id.0);
                    if links.remove(&end) {
                        world.network.write(end, &mut farewell.into(), world.rng);
                        world.network.close(end, world.rng);
                    }
                }
            }
        }
    }

    /// What was written is there by now, or the disk has failed.
    fn take_durable(&mut self, world: &mut Surroundings<'_>) -> Result<(), String> {
        let Some(writing) = self.writing.take_if(|writing| writing.done_us <= world.now_us) else {
            return Ok(());
        };
        writing.buffer.write(world.disk).map_err(|error| format!("the log cannot be written: {error}"))?;
        self.durable = writing.logged;
        self.busy = true;
        let position = writing.buffer.position();
        self.node.synced(position);
        if let Some(peers) = &mut self.peers {
            peers.durable(position);
        }
        Ok(())
    }

    /// Proposes what came in, and hands the disk a buffer, if it is free and there is one. Says whether it has.
    fn write(&mut self, world: &mut Surroundings<'_>) -> Result<bool, String> {
        self.node.propose().map_err(|error| error.to_string())?;
        if self.writing.is_some() {
            return Ok(false);
        }
        let Some(buffer) = self.node.take_buffer() else { return Ok(false) };
        let (done_us, logged) = (world.now_us + world.sync_us, self.node.logged());
        self.writing = Some(Writing { buffer, done_us, logged });
        Ok(true)
    }

    /// Writes whatever has output.
    fn flush(&mut self, world: &mut Surroundings<'_>) {
        let ready = self.node.front().take_ready();
        self.stuck.extend(ready.into_iter().map(|id| EndId(id.0)));
        for end in std::mem::take(&mut self.stuck) {
            if self.clients.contains(&end) {
                self.flush_client(end, world);
            } else if self.links.contains(&end)
                && let Some(output) =
                    self.peers.as_mut().and_then(|peers| peers.output(link::ConnectionId(end.0)))
            {
                world.network.write(end, output, world.rng);
                if !output.is_empty() {
                    self.stuck.insert(end);
                }
            }
        }
    }

    fn flush_client(&mut self, end: EndId, world: &mut Surroundings<'_>) {
        let (front, id) = (self.node.front(), ConnectionId(end.0));
        let empty = match front.output(id) {
            Some(output) => {
                world.network.write(end, output, world.rng);
                output.is_empty()
            }
            None => true,
        };
        let more = front.written(id);
        self.busy |= more;
        if empty && front.closing(id) {
            front.closed(id);
            self.clients.remove(&end);
            world.network.close(end, world.rng);
        } else if !empty {
            self.stuck.insert(end);
        }
    }
}
