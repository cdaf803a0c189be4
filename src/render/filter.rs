//! `--filter`: the condition that the rows of a list must meet.

use std::str::FromStr;

use serde_json::Value;

use super::text;

/// A condition on one column: `name=part`, `messages>10`, `type==topic`.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    column: String,
    test: Test,
    wanted: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    /// Text contains, numbers are equal.
    Like,
    Unlike,
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Longer signs first, so that `>=` is not read as `>`.
const SIGNS: [(&str, Test); 7] = [
    ("==", Test::Equal),
    ("!=", Test::Unlike),
    (">=", Test::GreaterOrEqual),
    ("<=", Test::LessOrEqual),
    (">", Test::Greater),
    ("<", Test::Less),
    ("=", Test::Like),
];

/// A filter without a comparison.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not a filter: use COLUMN=PART, COLUMN==EXACT, COLUMN!=PART or COLUMN>NUMBER (<, >=, <=)"
)]
pub struct InvalidFilter {
    text: String,
}

impl FromStr for Filter {
    type Err = InvalidFilter;

    fn from_str(filter: &str) -> Result<Self, InvalidFilter> {
        let invalid = || InvalidFilter { text: filter.to_owned() };
        let place =
            filter.find(['=', '!', '<', '>']).filter(|place| *place > 0).ok_or_else(invalid)?;
        let (column, rest) = filter.split_at(place);
        let (sign, test) =
            SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)).ok_or_else(invalid)?;
        Ok(Self { column: column.to_owned(), test: *test, wanted: rest[sign.len()..].to_owned() })
    }
}

impl Filter {
    /// The column it looks at.
    pub fn column(&self) -> &str {
        &self.column
    }

    /// Answers whether a value of that column passes.
    pub fn accepts(&self, value: &Value) -> bool {
        let numbers = value.as_f64().zip(self.wanted.parse::<f64>().ok());
        let compared = numbers.and_then(|(left, right)| left.partial_cmp(&right));
        match (self.test, compared) {
            (Test::Like | Test::Equal, Some(order)) => order.is_eq(),
            (Test::Unlike, Some(order)) => order.is_ne(),
            (Test::Less, Some(order)) => order.is_lt(),
            (Test::LessOrEqual, Some(order)) => order.is_le(),
            (Test::Greater, Some(order)) => order.is_gt(),
            (Test::GreaterOrEqual, Some(order)) => order.is_ge(),
            (Test::Like, None) => text::plain(value).contains(&self.wanted),
            (Test::Unlike, None) => !text::plain(value).contains(&self.wanted),
            (Test::Equal, None) => text::plain(value) == self.wanted,
            (Test::Less, None) => text::plain(value) < self.wanted,
            (Test::LessOrEqual, None) => text::plain(value) <= self.wanted,
            (Test::Greater, None) => text::plain(value) > self.wanted,
            (Test::GreaterOrEqual, None) => text::plain(value) >= self.wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn filters_compare_numbers_as_numbers_and_text_as_text() {
        #[rustfmt::skip]
        let cases = [
            // filter      value            passes
            ("v=ell",      json!("hello"),  true),
            ("v=x",        json!("hello"),  false),
            ("v==hello",   json!("hello"),  true),
            ("v==ell",     json!("hello"),  false),
            ("v!=ell",     json!("hello"),  false),
            ("v=1",        json!(10),       false), // equal, not contained
            ("v>9",        json!(10),       true),
            ("v>=10",      json!(10),       true),
            ("v<10",       json!(10),       false),
            ("v<=10",      json!(10.0),     true),
            ("v=true",     json!(true),     true),
            ("v=a=b",      json!("xa=b"),   true),  // the first sign counts
            ("v=",         json!(null),     true),
        ];
        for (filter, value, passes) in cases {
            let parsed: Filter = filter.parse().unwrap();
            assert_eq!(parsed.column(), "v");
            assert_eq!(parsed.accepts(&value), passes, "{filter} on {value}");
        }
    }

    #[test]
    fn what_has_no_comparison_is_refused() {
        for text in ["", "name", "=x", "name!"] {
            assert!(text.parse::<Filter>().is_err(), "{text:?}");
        }
    }
}
