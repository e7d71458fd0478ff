//! Addresses: which envelopes a ring orders, and a partition delivers.
//!
//! An envelope for one partition belongs to that partition's ring, one for several to the shared ring, from which it is relayed.
//! What another node submits is checked before it is proposed. A log may hold what was not checked then: a partition passes over
//! it, and so do all its replicas, since the rule reads nothing but the log.

use crate::envelope::Envelope;
use crate::ring_id::RingId;
use crate::{Destinations, PartitionId};
use thiserror::Error;

/// Why an envelope is not ordered or not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Misaddressed {
    /// It addresses no partition.
    #[error("it addresses no partition")]
    Nowhere,
    /// It addresses a partition that the cluster lacks.
    #[error("it addresses {0}, and not all of these exist")]
    Absent(Destinations),
    /// Its destinations belong to another ring.
    #[error("it addresses {0}, which this ring does not order")]
    OtherRing(Destinations),
    /// It says that it was relayed, and nobody submits that.
    #[error("it is submitted as a relayed one")]
    Relayed,
}

/// The ring that orders what has these destinations.
pub(crate) fn ring_of(destinations: Destinations) -> RingId {
    destinations.single().map_or(RingId::SHARED, RingId::of)
}

/// Whether a ring orders an envelope, in a cluster of so many partitions.
pub(crate) fn check(envelope: &Envelope, ring: RingId, partitions: u16) -> Result<(), Misaddressed> {
    let destinations = envelope.destinations;
    if destinations.is_empty() {
        return Err(Misaddressed::Nowhere);
    }
    if !Destinations::all(partitions).covers(destinations) {
        return Err(Misaddressed::Absent(destinations));
    }
    if ring_of(destinations) != ring {
        return Err(Misaddressed::OtherRing(destinations));
    }
    Ok(())
}

/// Whether a partition delivers an envelope that stands in its log.
pub(crate) fn check_delivery(
    envelope: &Envelope,
    is_relayed: bool,
    partition: PartitionId,
    partitions: u16,
) -> Result<(), Misaddressed> {
    let ring = if is_relayed { RingId::SHARED } else { RingId::of(partition) };
    check(envelope, ring, partitions)?;
    match envelope.destinations.contains(partition) {
        true => Ok(()),
        false => Err(Misaddressed::OtherRing(envelope.destinations)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{ClientId, CommandId};
    use bytes::Bytes;

    fn envelope(bits: u64) -> Envelope {
        let id = CommandId { client: ClientId(1), epoch: 0, run: 0, i: 0 };
        Envelope { id, destinations: Destinations::from_bits(bits), body: Bytes::new() }
    }

    #[test]
    fn a_ring_orders_what_it_covers_and_nothing_else() {
        let ring = |bits, ring| check(&envelope(bits), RingId(ring), 3);
        assert_eq!(ring(0b010, 1), Ok(()));
        assert_eq!(ring(0b011, 64), Ok(()));
        assert_eq!(ring(0, 1), Err(Misaddressed::Nowhere));
        assert_eq!(ring(0, 64), Err(Misaddressed::Nowhere));
        let set = Destinations::from_bits;
        assert_eq!(ring(0b1000, 3), Err(Misaddressed::Absent(set(0b1000))));
        assert_eq!(ring(0b1011, 64), Err(Misaddressed::Absent(set(0b1011))));
        assert_eq!(ring(u64::MAX, 64), Err(Misaddressed::Absent(set(u64::MAX))));
        assert_eq!(
            ring(0b010, 64),
            Err(Misaddressed::OtherRing(set(0b010))),
            "one partition is no matter of all"
        );
        assert_eq!(ring(0b011, 1), Err(Misaddressed::OtherRing(set(0b011))));
        assert_eq!(ring(0b001, 1), Err(Misaddressed::OtherRing(set(0b001))));
    }

    #[test]
    fn a_partition_delivers_what_addresses_it() {
        let delivers = |bits, relayed| check_delivery(&envelope(bits), relayed, PartitionId(1), 3);
        assert_eq!((delivers(0b010, false), delivers(0b110, true)), (Ok(()), Ok(())));
        assert!(
            delivers(0b101, true).is_err()
                && delivers(0b010, true).is_err()
                && delivers(0b110, false).is_err()
        );
    }
}
