//! A line of the shell, split into words.

/// Splits a line at blanks. Single and double quotes keep blanks, and a backslash keeps the next character, except
/// within single quotes. The error is one line.
pub(super) fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    // `None` is between words: an empty pair of quotes is a word too.
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = line.chars();
    while let Some(character) = rest.next() {
        match (character, quote) {
            ('\\', None | Some('"')) => {
                let kept = rest.next().ok_or("nothing follows the backslash")?;
                word.get_or_insert_default().push(kept);
            }
            (character, Some(open)) if character == open => quote = None,
            (_, Some(_)) => word.get_or_insert_default().push(character),
            ('\'' | '"', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (blank, None) if blank.is_whitespace() => words.extend(word.take()),
            (_, None) => word.get_or_insert_default().push(character),
        }
    }
    if let Some(open) = quote {
        return Err(format!("the quote {open} is not closed"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn blanks_separate_and_quotes_keep_them() {
        assert_eq!(split("  set /a\tb  ").unwrap(), ["set", "/a", "b"]);
        assert_eq!(split(r#"set "/a b" 'c "d'e"#).unwrap(), ["set", "/a b", "c \"de"]);
        assert_eq!(split(r#"set /a """#).unwrap(), ["set", "/a", ""]);
        assert!(split("  ").unwrap().is_empty());
    }

    #[test]
    fn a_backslash_keeps_the_next_character() {
        assert_eq!(split(r#"a\ b "c\"d" 'e\f'"#).unwrap(), ["a b", "c\"d", r"e\f"]);
    }

    #[test]
    fn half_a_quote_is_an_error() {
        assert_eq!(split("set 'a").unwrap_err(), "the quote ' is not closed");
        assert_eq!(split("set a\\").unwrap_err(), "nothing follows the backslash");
    }
}
