//! What must hold.

use super::member::Member;
use crate::ring::Ring;
use std::collections::BTreeMap;

/// What went wrong, in a sentence.
pub(crate) type Violation = String;

/// Judges decisions.
///
/// Invariant: `decided` is what any member has ever decided; it only grows.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    decided: Vec<u64>,
    acknowledged: BTreeMap<u64, u64>,
}

impl Checker {
    pub(crate) fn decided(&self) -> u64 {
        self.decided.len() as u64
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Looks at what member `at` has decided since it was last looked at: it agrees with what others decided, and what
    /// is decided for the first time is synced by a quorum.
    pub(crate) fn check(&mut self, members: &mut [Member], at: usize) -> Result<(), Violation> {
        let Some(running) = &members[at].running else { return Ok(()) };
        let (from, to) = (running.checked, running.ring.decided());
        for index in from..to {
            let id = members[at].id_of(index);
            match self.decided.get(index as usize) {
                Some(decided) if *decided != id => {
                    return Err(format!(
                        "member {at} decided {id} at {index}, where {decided} had been decided"
                    ));
                }
                Some(_) => {}
                None => {
                    let synced = members.iter().filter(|member| member.has_synced(index, id)).count();
                    if synced <= members.len() / 2 {
                        return Err(format!("member {at} decided {id} at {index}, synced by {synced}"));
                    }
                    self.decided.push(id);
                }
            }
        }
        if let Some(running) = &mut members[at].running {
            running.checked = to;
            while running.proposed.front().is_some_and(|(index, _)| *index < to) {
                let (index, id) = running.proposed.pop_front().expect("a front");
                if self.decided[index as usize] == id {
                    self.acknowledged.insert(index, id);
                }
            }
        }
        Ok(())
    }

    /// Once everything is decided everywhere: nothing acknowledged is missing.
    pub(crate) fn check_all(&self, members: &[Member]) -> Result<(), Violation> {
        for (at, member) in members.iter().enumerate() {
            for (index, id) in &self.acknowledged {
                if member.id_of(*index) != *id {
                    return Err(format!("member {at} has lost {id} at {index}, which was acknowledged"));
                }
            }
        }
        Ok(())
    }
}
