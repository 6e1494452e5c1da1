//! "Did you mean ...?"

/// Most candidates that are looked at: a long list is compared with each of many slips.
const CONSIDERED: usize = 500;

/// The candidate that `word` is most likely a slip of, if any is near enough.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = plain(word);
    candidates
        .into_iter()
        .take(CONSIDERED)
        .filter_map(|candidate| {
            let distance = strsim::damerau_levenshtein(&wanted, &plain(candidate));
            // A third of the letters may be wrong: enough for slips, too little for another word.
            let letters = wanted.chars().count().max(candidate.chars().count());
            (distance <= letters / 3).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// `words` as a choice for people: "`a`, `b` or `c`".
pub(crate) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.into_iter().collect();
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => {
            format!("{} or `{last}`", quoted(others.iter().copied()))
        }
        _ => quoted(words),
    }
}

/// `words` as a list for people: "`a`, `b`, `c`".
pub(crate) fn quoted<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// Case and separators are not what people mean to say.
fn plain(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let keys = ["service", "cluster", "rewrite", "max_body_bytes"];
        assert_eq!(nearest("serivce", keys), Some("service"));
        assert_eq!(nearest("maxBodyBytes", keys), Some("max_body_bytes"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest("", keys), None);
    }

    #[test]
    fn lists_read_like_a_sentence() {
        assert_eq!(one_of([]), "");
        assert_eq!(one_of(["a"]), "`a`");
        assert_eq!(one_of(["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(quoted(["a", "b"]), "`a`, `b`");
    }
}
