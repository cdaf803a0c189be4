//! Names that are like one that does not exist.

/// Most names offered instead of one that is not there.
const NEAREST_MAX: usize = 3;
/// The least likeness of two names, from 0 to 1, for one to be offered instead of the other.
const NEAREST_LIKENESS: f64 = 0.6;

/// Returns the names that are most like the one that is wanted, the best first.
pub(super) fn most_alike<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut ranked: Vec<(f64, &str)> = names
        .map(|name| (strsim::normalized_damerau_levenshtein(wanted, name), name))
        .filter(|(likeness, name)| *likeness >= NEAREST_LIKENESS && *name != wanted)
        .collect();
    ranked.sort_by(|one, other| other.0.total_cmp(&one.0));
    ranked.into_iter().take(NEAREST_MAX).map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_best_first() {
        let names = ["orders", "order", "payments", "ordres.dead", ""];
        assert_eq!(most_alike("ordres", names.into_iter()), ["orders", "order"]);
        assert!(most_alike("x", names.into_iter()).is_empty());
    }
}
