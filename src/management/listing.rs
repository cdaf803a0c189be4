//! The part of a list that a caller asks for: filter, page, order, columns.
//!
//! RabbitMQ: `rabbit_mgmt_util` (`pagination_params`, `sort_list`, `extract_columns`), its error texts included.
//! Order of work as there: filter, sort, page, columns.

use std::cmp::Ordering;
use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::refusal::Refusal;
use crate::broker::auth::Pattern;

/// Rows of a page if the request does not say how many.
const PAGE_SIZE: usize = 100;
/// Most rows a page may have.
const PAGE_SIZE_MAX: usize = 500;

/// A row in the making, which has the wanted fields only.
#[derive(Debug)]
pub(super) struct WantedRow<'a> {
    row: Value,
    wanted: WantedFields<'a>,
}

impl<'a> WantedRow<'a> {
    pub(super) fn new(wanted: WantedFields<'a>) -> Self {
        Self { row: Value::Object(Map::new()), wanted }
    }

    /// Adds a field if it is wanted.
    pub(super) fn put(&mut self, field: &str, value: impl Into<Value>) {
        if self.wanted.has(field) {
            self.row[field] = value.into();
        }
    }

    /// Returns the row if one of these fields is wanted, so that others add them.
    pub(super) fn for_any(&mut self, fields: &[&str]) -> Option<&mut Value> {
        fields.iter().any(|field| self.wanted.has(field)).then_some(&mut self.row)
    }

    pub(super) fn finished(self) -> Value {
        self.row
    }
}

/// The parameters of a request.
pub(super) type Query = HashMap<String, String>;

/// The part of a list that a caller asks for.
#[derive(Debug)]
pub(super) struct Selection {
    page: Option<PageQuery>,
    sort: Option<Vec<String>>,
    is_reversed: bool,
    columns: Option<Vec<Vec<String>>>,
}

/// The fields of a row that are looked at: all, or those at the beginning of some paths.
#[derive(Clone, Copy, Debug)]
pub(super) struct WantedFields<'a>(Option<&'a [Vec<String>]>);

impl WantedFields<'_> {
    pub(super) const ALL: Self = Self(None);

    /// Answers whether somebody looks at this field of a row.
    fn has(self, field: &str) -> bool {
        let is_on = |path: &Vec<String>| path.first().is_some_and(|first| first == field);
        self.0.is_none_or(|paths| paths.iter().any(is_on))
    }
}

#[derive(Debug)]
struct PageQuery {
    number: usize,
    size: usize,
    filter: Option<Filter>,
}

#[derive(Debug)]
enum Filter {
    /// A part of the name, in any case.
    Part(String),
    Pattern(Pattern),
}

fn steps(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}

impl Selection {
    /// Reads and checks the parameters.
    ///
    /// # Errors
    ///
    /// [`Refusal::BadRequest`] for pages that cannot be and patterns that cannot be read.
    pub(super) fn new(query: &Query) -> Result<Self, Refusal> {
        let columns = query.get("columns").filter(|columns| !columns.is_empty());
        Ok(Self {
            page: PageQuery::new(query)?,
            sort: query.get("sort").filter(|path| !path.is_empty()).map(|path| steps(path)),
            is_reversed: query.get("sort_reverse").is_some_and(|value| value == "true"),
            columns: columns.map(|columns| columns.split(',').map(steps).collect()),
        })
    }

    /// The rows that are wanted, as a list or as one page of it.
    pub(super) fn of_list(&self, mut rows: Vec<Value>) -> Result<Value, Refusal> {
        let total = rows.len();
        self.filter(&mut rows, |row, filter| {
            row.get("name").and_then(Value::as_str).is_some_and(|name| filter.accepts(name))
        });
        if let Some(path) = &self.sort {
            rows.sort_by(|one, other| compare(at(one, path), at(other, path)));
        }
        self.of_sorted(rows, total, |row| row)
    }

    /// The same of things that have a name, each of which costs something to make a row of: of a page, only its own rows
    /// are made, and of all others the field that they are sorted by.
    pub(super) fn of_things<T>(
        &self,
        mut things: Vec<T>,
        name: impl Fn(&T) -> &str,
        row: impl Fn(&T, WantedFields<'_>) -> Value,
    ) -> Result<Value, Refusal> {
        let total = things.len();
        self.filter(&mut things, |thing, filter| filter.accepts(name(thing)));
        match &self.sort {
            None => {}
            Some(path) if *path == ["name"] => {
                things.sort_by(|one, other| name(one).cmp(name(other)));
            }
            Some(path) => {
                let wanted = WantedFields(Some(std::slice::from_ref(path)));
                let key = |thing: T| (at(&row(&thing, wanted), path).cloned(), thing);
                let mut keyed: Vec<_> = things.into_iter().map(key).collect();
                keyed.sort_by(|(one, _), (other, _)| compare(one.as_ref(), other.as_ref()));
                things = keyed.into_iter().map(|(_, thing)| thing).collect();
            }
        }
        let wanted = WantedFields(self.columns.as_deref());
        self.of_sorted(things, total, |thing| row(&thing, wanted))
    }

    /// Tells whether one page is wanted.
    pub(super) fn is_page(&self) -> bool {
        self.page.is_some()
    }

    /// Pages only are filtered.
    fn filter<T>(&self, things: &mut Vec<T>, accepts: impl Fn(&T, &Filter) -> bool) {
        if let Some(filter) = self.page.as_ref().and_then(|page| page.filter.as_ref()) {
            things.retain(|thing| accepts(thing, filter));
        }
    }

    /// Selects from things in their order; `total` is the number of them before they were filtered.
    fn of_sorted<T>(
        &self,
        mut things: Vec<T>,
        total: usize,
        row: impl Fn(T) -> Value,
    ) -> Result<Value, Refusal> {
        if self.is_reversed {
            things.reverse();
        }
        let Some(page) = &self.page else {
            return Ok(things.into_iter().map(|thing| self.of_object(row(thing))).collect());
        };
        let filtered = things.len();
        let items = page.cut(things)?;
        let items: Vec<_> = items.into_iter().map(|thing| self.of_object(row(thing))).collect();
        Ok(json!({
            "filtered_count": filtered,
            "item_count": items.len(),
            "items": items,
            "page": page.number,
            "page_count": filtered.div_ceil(page.size),
            "page_size": page.size,
            "total_count": total,
        }))
    }

    /// The wanted columns of one object.
    pub(super) fn of_object(&self, object: Value) -> Value {
        let Some(columns) = &self.columns else { return object };
        let mut wanted = Map::new();
        for path in columns {
            if let Some(value) = at(&object, path) {
                put(&mut wanted, path, value.clone());
            }
        }
        Value::Object(wanted)
    }
}

impl PageQuery {
    fn new(query: &Query) -> Result<Option<Self>, Refusal> {
        let is_asked = query.get("pagination").is_some_and(|value| value == "true");
        let number = integer(query, "page")?.or(is_asked.then_some(1));
        let size = integer(query, "page_size")?;
        let Some(number) = number else { return Ok(None) };
        let page = usize::try_from(number).ok().filter(|&number| number > 0);
        let rows = size.map_or(Some(PAGE_SIZE), |size| usize::try_from(size).ok());
        let rows = rows.filter(|rows| (1..=PAGE_SIZE_MAX).contains(rows));
        let (Some(page), Some(rows)) = (page, rows) else {
            let size = size.map_or_else(|| "undefined".to_owned(), |size| size.to_string());
            let reason =
                format!("Invalid pagination parameters: page number {number}, page size {size}");
            return Err(Refusal::BadRequest { error: "invalid_pagination_parameters", reason });
        };
        Ok(Some(Self { number: page, size: rows, filter: Filter::new(query)? }))
    }

    /// The rows of this page. One page behind the last full one is empty, the next is out of range
    /// (RabbitMQ: `lists:sublist/3`).
    fn cut<T>(&self, mut rows: Vec<T>) -> Result<Vec<T>, Refusal> {
        let first = (self.number - 1).saturating_mul(self.size);
        if first > rows.len() {
            let (number, size, len) = (self.number, self.size, rows.len());
            let reason = format!("Page out of range, page: {number} page size: {size}, len: {len}");
            return Err(Refusal::BadRequest { error: "page_out_of_range", reason });
        }
        let mut page = rows.split_off(first);
        page.truncate(self.size);
        Ok(page)
    }
}

fn integer(query: &Query, name: &str) -> Result<Option<i64>, Refusal> {
    let Some(text) = query.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    let number = text.parse().ok();
    let refuse = || Refusal::bad_request(format!("'{name}' is not an integer: '{text}'"));
    number.map(Some).ok_or_else(refuse)
}

impl Filter {
    fn new(query: &Query) -> Result<Option<Self>, Refusal> {
        let Some(name) = query.get("name").filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        if query.get("use_regex").is_none_or(|value| value != "true") {
            return Ok(Some(Self::Part(name.to_lowercase())));
        }
        let refuse = |_| Refusal::bad_request(format!("'{name}' is not a regular expression"));
        let pattern = Pattern::of_filter(name).map_err(refuse)?;
        Ok(Some(Self::Pattern(pattern)))
    }

    fn accepts(&self, name: &str) -> bool {
        match self {
            Self::Part(part) => name.to_lowercase().contains(part.as_str()),
            Self::Pattern(pattern) => pattern.matches(name),
        }
    }
}

/// The value at the end of a dotted path.
fn at<'a>(row: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(row, |value, step| value.get(step))
}

/// Puts a value at the end of a path, with the objects on the way there.
fn put(object: &mut Map<String, Value>, path: &[String], value: Value) {
    let Some((last, way)) = path.split_last() else { return };
    let mut object = object;
    for step in way {
        let next = object.entry(step.clone()).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(next) = next else { return };
        object = next;
    }
    object.insert(last.clone(), value);
}

/// The order of values, a missing one counting as 0 (Erlang: numbers, atoms, objects, lists, texts).
fn compare(one: Option<&Value>, other: Option<&Value>) -> Ordering {
    let zero = Value::from(0);
    let (one, other) = (one.unwrap_or(&zero), other.unwrap_or(&zero));
    let kind = |value: &Value| match value {
        Value::Number(_) => 0,
        Value::Null | Value::Bool(_) => 1,
        Value::Object(_) => 2,
        Value::Array(_) => 3,
        Value::String(_) => 4,
    };
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            let as_float = |number: &serde_json::Number| number.as_f64().unwrap_or_default();
            as_float(one).total_cmp(&as_float(other))
        }
        (Value::String(one), Value::String(other)) => one.cmp(other),
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        (one, other) => kind(one).cmp(&kind(other)),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn query(text: &str) -> Query {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn rows() -> Vec<Value> {
        vec![
            json!({"name": "b1", "n": 3, "stats": {"rate": 0.5, "age": 1}}),
            json!({"name": "A2", "n": 20}),
            json!({"name": "c.3", "n": 1, "stats": {"rate": 2.5, "age": 2}}),
        ]
    }

    fn select(text: &str) -> Result<Value, Refusal> {
        Selection::new(&query(text))?.of_list(rows())
    }

    fn name(row: &Value) -> &str {
        row["name"].as_str().unwrap()
    }

    /// The same of things whose rows are yet to be made, and how many fields were.
    fn select_things(text: &str) -> Result<(Value, usize), Refusal> {
        let made = Cell::new(0);
        let row = |row: &Value, wanted: WantedFields<'_>| {
            let mut row = row.clone();
            row.as_object_mut().unwrap().retain(|field, _| wanted.has(field));
            made.set(made.get() + row.as_object().unwrap().len());
            row
        };
        let answer = Selection::new(&query(text))?.of_things(rows(), name, row)?;
        Ok((answer, made.get()))
    }

    #[test]
    fn only_the_rows_of_a_page_are_made_and_of_them_only_the_columns() {
        #[rustfmt::skip]
        let cases = [
            ("page=1&page_size=1",                        3),
            ("page=2&page_size=2&sort=name",              3),
            ("page=1&page_size=1&sort=name&name=[ab]&use_regex=true&sort_reverse=true", 3),
            ("page=1&name=a",                             2),
            ("page=1&page_size=1&sort=n",                 3 + 3), // what they are sorted by is in each row
            ("page=1&page_size=1&sort=n&name=b",          1 + 3),
            ("page=1&page_size=1&sort=n&columns=name,stats.age", 3 + 2),
            ("sort=name",                                 8),
            ("columns=name,nothing",                      3),
        ];
        for (text, expected) in cases {
            let (answer, made) = select_things(text).unwrap();
            assert_eq!(made, expected, "{text}");
            assert_eq!(answer, select(text).unwrap(), "{text}");
        }
    }

    #[test]
    fn lists_are_sorted_filtered_and_cut() {
        #[rustfmt::skip]
        let cases = [
            // query                                        names, in order
            ("",                                            "b1 A2 c.3"),
            ("sort=name",                                   "A2 b1 c.3"),
            ("sort=n",                                      "c.3 b1 A2"),
            ("sort=n&sort_reverse=true",                    "A2 b1 c.3"),
            ("sort=stats.rate",                             "A2 b1 c.3"), // a missing value is 0
            ("page=1&name=a",                               "A2"),
            ("page=1&name=^[ab]&use_regex=true&sort=n",     "b1 A2"),
            ("page=1&name=.&use_regex=false",               "c.3"),
            ("name=a",                                      "b1 A2 c.3"), // only pages are filtered
            ("page=2&page_size=2",                          "c.3"),
            ("page=1&page_size=2&sort=name",                "A2 b1"),
            ("page=2&page_size=3",                          ""),
            ("pagination=true",                             "b1 A2 c.3"),
        ];
        for (text, names) in cases {
            let answer = select(text).unwrap();
            assert_eq!(select_things(text).unwrap().0, answer, "{text}");
            let items = answer.get("items").unwrap_or(&answer).as_array().unwrap().clone();
            let found: Vec<_> = items.iter().map(|row| row["name"].as_str().unwrap()).collect();
            assert_eq!(found.join(" "), names, "{text}");
        }
    }

    #[test]
    fn a_page_says_what_it_is_a_part_of() {
        let page = select("page=1&page_size=1&name=[ab]&use_regex=true&columns=n").unwrap();
        let expected = json!({
            "filtered_count": 2, "item_count": 1, "items": [{"n": 3}],
            "page": 1, "page_count": 2, "page_size": 1, "total_count": 3,
        });
        assert_eq!(page, expected);
    }

    #[test]
    fn columns_keep_their_place() {
        let rows = select("columns=name,stats.rate,nothing").unwrap();
        let expected = json!([
            {"name": "b1", "stats": {"rate": 0.5}},
            {"name": "A2"},
            {"name": "c.3", "stats": {"rate": 2.5}},
        ]);
        assert_eq!(rows, expected);
    }

    #[test]
    fn impossible_pages_are_refused_in_rabbitmqs_words() {
        #[rustfmt::skip]
        let cases = [
            ("page=0", "invalid_pagination_parameters",
             "Invalid pagination parameters: page number 0, page size undefined"),
            ("page=1&page_size=501", "invalid_pagination_parameters",
             "Invalid pagination parameters: page number 1, page size 501"),
            ("page=1&page_size=0", "invalid_pagination_parameters",
             "Invalid pagination parameters: page number 1, page size 0"),
            ("page=9", "page_out_of_range", "Page out of range, page: 9 page size: 100, len: 3"),
            ("page=x", "bad_request", "'page' is not an integer: 'x'"),
            ("page=1&name=(&use_regex=true", "bad_request", "'(' is not a regular expression"),
        ];
        for (text, error, reason) in cases {
            let expected = Refusal::BadRequest { error, reason: reason.to_owned() };
            assert_eq!(select(text), Err(expected), "{text}");
        }
    }
}
