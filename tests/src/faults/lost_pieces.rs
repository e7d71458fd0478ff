//! A node loses a piece of its data directory, or comes back on an older copy of it.

use super::{Faults, LOOK_INTERVAL, RECOVERY_MAX, process_fault};
use crate::schedule::Spells;
use crate::violation::Violation;
use std::fmt;
use std::time::{Duration, Instant};

/// How often a node is started on an older copy: more often than its peers have met it since the copy was made.
const STARTS: u32 = 4;

/// What is wrong with a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// It is a copy that was made before the node's last start.
    OlderCopy,
    /// Its log is missing.
    Log,
    /// Its identity is missing.
    Identity,
}

impl Piece {
    const ALL: [Piece; 3] = [Piece::OlderCopy, Piece::Log, Piece::Identity];

    /// What a node says that is started so.
    fn words(self) -> &'static str {
        match self {
            Piece::OlderCopy => "this node takes no part any more",
            Piece::Log => "missing, and so is every other",
            Piece::Identity => "its identity file is missing",
        }
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Piece::OlderCopy => "came back on an older copy",
            Piece::Log => "lost its log",
            Piece::Identity => "lost its identity",
        })
    }
}

impl Faults<'_> {
    /// Takes a piece of one node's directory after the other: the node is refused and says why, the others go on. Then it gets
    /// its newest directory back.
    pub(super) fn lost_pieces(&mut self, spells: &Spells) -> Result<(), Violation> {
        self.load(spells.every - spells.length)?;
        let mut longest = Duration::ZERO;
        for number in 0..spells.count {
            let (node, piece) = (number as usize % self.cluster.count(), Piece::ALL[number as usize % 3]);
            let back = self.lose_and_bring_back(node, piece, spells)?;
            let silence = self.end_spell(spells, &format!("node {} {piece}", node + 1));
            longest = longest.max(silence);
            let line = format!(
                "lost piece {}/{}: node {} {piece} and was refused, longest without an acknowledgement {} ms, \
                 answering {} ms after it had its newest directory again",
                number + 1,
                spells.count,
                node + 1,
                silence.as_millis(),
                back.as_millis()
            );
            self.report.fault(&line, &self.world.record);
        }
        self.report.phase("lost pieces", longest, spells.silence_max);
        Ok(())
    }

    /// One lost piece, up to where the next may begin. Returns how long the node needed to answer on its newest directory.
    fn lose_and_bring_back(
        &mut self,
        node: usize,
        piece: Piece,
        spells: &Spells,
    ) -> Result<Duration, Violation> {
        let begun = self.begin();
        self.cluster.kill(node).map_err(process_fault)?;
        if piece == Piece::OlderCopy {
            // It is met in another start after the copy was made.
            self.cluster.copy_data(node).map_err(process_fault)?;
            self.restart_and_wait_for(node)?;
            self.load(spells.length)?;
            self.cluster.kill(node).map_err(process_fault)?;
        }
        self.cluster.put_newest_away(node).map_err(process_fault)?;
        match piece {
            Piece::OlderCopy => self.start_on_copy(node)?,
            Piece::Log => self.cluster.start_without(node, "log").map_err(process_fault)?,
            Piece::Identity => self.cluster.start_without(node, "identity").map_err(process_fault)?,
        }
        self.wait_for_words(node, piece.words())?;
        self.wait_until(begun + spells.length)?;
        self.cluster.kill(node).map_err(process_fault)?;
        self.cluster.bring_newest_back(node).map_err(process_fault)?;
        let back = self.restart_and_wait_for(node)?;
        self.wait_until(begun + spells.every)?;
        Ok(back)
    }

    fn start_on_copy(&mut self, node: usize) -> Result<(), Violation> {
        self.cluster.restore_copy(node).map_err(process_fault)?;
        for _ in 1..STARTS {
            self.cluster.restart(node).map_err(process_fault)?;
            self.cluster.wait_until_up(node).map_err(process_fault)?;
            self.cluster.kill(node).map_err(process_fault)?;
        }
        self.cluster.restart(node).map_err(process_fault)
    }

    /// Waits until a node has said so since its data were put away.
    fn wait_for_words(&mut self, node: usize, words: &str) -> Result<(), Violation> {
        let deadline = Instant::now() + RECOVERY_MAX;
        while !self.cluster.has_said(node, words).map_err(process_fault)? {
            if Instant::now() > deadline {
                let line = self.cluster.last_words(node).map_err(process_fault)?;
                return Err(Violation::LastWordsUnclear { node: node + 1, line });
            }
            self.wait_until(Instant::now() + LOOK_INTERVAL)?;
        }
        Ok(())
    }
}
