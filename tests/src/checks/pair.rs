//! Pairs: two znodes that every write sets both, in one multi, to the same data.

use crate::violation::Violation;
use bytes::Bytes;
use volery::wire::{OpResult, Stat};

/// Judges one multiRead of both: they have the same data, were changed equally often, and last by the same transaction.
/// Returns the version that both have.
pub fn judge_pair(paths: &[String; 2], results: &[OpResult]) -> Result<i32, Violation> {
    let differ = |difference: String| Violation::PairDiffers {
        first: paths[0].clone(),
        second: paths[1].clone(),
        difference,
    };
    let [OpResult::Data { data: first, stat }, OpResult::Data { data: second, stat: other }] = results else {
        return Err(differ(format!("{results:?}")));
    };
    if first != second {
        return Err(differ(format!("data {} and {}", shown(first), shown(second))));
    }
    if numbers(stat) != numbers(other) {
        return Err(differ(format!("(version, mzxid) {:?} and {:?}", numbers(stat), numbers(other))));
    }
    Ok(stat.version)
}

fn numbers(stat: &Stat) -> (i32, i64) {
    (stat.version, stat.mzxid)
}

fn shown(data: &Option<Bytes>) -> String {
    String::from_utf8_lossy(data.as_deref().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use volery::wire::ErrorCode;

    fn data(token: &'static str, version: i32, mzxid: i64) -> OpResult {
        let data = Some(Bytes::from_static(token.as_bytes()));
        OpResult::Data { data, stat: Stat { version, mzxid, ..Stat::default() } }
    }

    fn judged(results: [OpResult; 2]) -> Result<i32, String> {
        let paths = ["/a".to_owned(), "/b".to_owned()];
        judge_pair(&paths, &results).map_err(|violation| violation.to_string())
    }

    #[test]
    fn equals_are_a_pair() {
        assert_eq!(judged([data("x", 3, 9), data("x", 3, 9)]), Ok(3));
    }

    #[test]
    fn half_a_multi_is_seen() {
        let half = judged([data("new", 4, 10), data("old", 3, 9)]);
        assert_eq!(half.unwrap_err(), "/a and /b differ in one read: data new and old");
        assert!(judged([data("x", 4, 10), data("x", 3, 10)]).is_err());
        assert!(judged([data("x", 4, 10), data("x", 4, 9)]).is_err());
    }

    #[test]
    fn a_missing_half_is_seen() {
        assert!(judged([data("x", 1, 2), OpResult::Failed(ErrorCode::NoNode)]).is_err());
        assert!(judge_pair(&["/a".to_owned(), "/b".to_owned()], &[]).is_err());
    }
}
