//! The route of a message as a tree: each exchange with the bindings that match, and the reason why the others do not.

use super::about_alternate;
use crate::engine::route::{AlternateUse, BindingEnd, BindingStep, ExchangeStep, RouteReport};
use crate::render::words;

/// The tree, a line each; `hidden` says of each exchange how many bindings that do not match are left out.
pub(super) fn lines(way: &RouteReport, hidden: &[usize]) -> Vec<String> {
    let mut tree = Tree { way, hidden, shown: vec![false; way.exchanges.len()], lines: Vec::new() };
    if let Some(first) = way.exchanges.first() {
        tree.lines.push(noun(first));
        tree.exchange(0, "");
    }
    tree.lines
}

struct Tree<'a> {
    way: &'a RouteReport,
    hidden: &'a [usize],
    /// Exchanges that were written: each is asked once.
    shown: Vec<bool>,
    lines: Vec<String>,
}

/// A line of the tree below an exchange.
enum Branch<'a> {
    Taken(&'a BindingStep),
    AlternateExchange(&'a str, AlternateUse),
    Missed(&'a BindingStep),
    Hidden(usize),
}

impl Tree<'_> {
    /// Writes what is below an exchange, each line behind `indent`.
    fn exchange(&mut self, at: usize, indent: &str) {
        let (way, hidden) = (self.way, self.hidden);
        let Some(asked) = way.exchanges.get(at) else { return };
        if std::mem::replace(&mut self.shown[at], true) {
            return;
        }
        let taken = asked.tried.iter().filter(|tried| tried.matches).map(Branch::Taken);
        let missed = asked.tried.iter().filter(|tried| !tried.matches).map(Branch::Missed);
        let alternate = asked.alternate.iter();
        let alternate = alternate.map(|to| Branch::AlternateExchange(&to.exchange, to.used));
        let hidden = hidden.get(at).filter(|count| **count > 0).map(|count| Branch::Hidden(*count));
        let branches: Vec<Branch<'_>> =
            taken.chain(alternate).chain(missed).chain(hidden).collect();
        if branches.is_empty() {
            self.lines.push(format!("{indent}└─ nothing is bound to it"));
        }
        let last = branches.len().saturating_sub(1);
        for (number, branch) in branches.iter().enumerate() {
            let (corner, below) =
                if number == last { ("└─", "   ") } else { ("├─", "│  ") };
            self.branch(asked, branch, &format!("{indent}{corner} "), &format!("{indent}{below}"));
        }
    }

    fn branch(&mut self, from: &ExchangeStep, branch: &Branch<'_>, before: &str, below: &str) {
        match branch {
            Branch::Taken(tried) => {
                let maybe = if from.chooses.is_some() { "perhaps " } else { "" };
                self.to(&tried.to, &format!("{before}{maybe}"), &by(tried), below);
            }
            Branch::AlternateExchange(name, AlternateUse::Yes) => {
                let why = format!(": {}", about_alternate(AlternateUse::Yes));
                self.to(&BindingEnd::Exchange((*name).to_owned()), before, &why, below);
            }
            Branch::AlternateExchange(name, used) => {
                self.lines
                    .push(format!("{before}not exchange '{name}': {}", about_alternate(*used)));
            }
            Branch::Missed(tried) => {
                let (kind, name) = match &tried.to {
                    BindingEnd::Queue(name) => ("queue", name),
                    BindingEnd::Exchange(name) => ("exchange", name),
                };
                let by = by(tried);
                self.lines.push(format!("{before}not {kind} '{name}'{by}: {}", tried.why));
            }
            Branch::Hidden(count) => {
                let bindings = words::counted(*count as u64, "more binding");
                self.lines.push(format!("{before}not by {bindings}; --all shows them"));
            }
        }
    }

    /// Writes a destination that the message takes, and what is below it.
    fn to(&mut self, to: &BindingEnd, before: &str, after: &str, below: &str) {
        let name = match to {
            BindingEnd::Queue(name) => {
                self.lines.push(format!("{before}queue '{name}'{after}"));
                return;
            }
            BindingEnd::Exchange(name) => name,
        };
        let at = self.way.exchanges.iter().position(|asked| asked.exchange == *name);
        match at.map(|at| (at, &self.way.exchanges[at])) {
            Some((at, asked)) if !self.shown[at] => {
                self.lines.push(format!("{before}{}{after}", noun(asked)));
                self.exchange(at, below);
            }
            Some(_) => self.lines.push(format!("{before}exchange '{name}'{after}, asked already")),
            None => self.lines.push(format!("{before}exchange '{name}'{after}, which is gone")),
        }
    }
}

fn noun(asked: &ExchangeStep) -> String {
    let name = match asked.exchange.as_str() {
        "" => "the default exchange".to_owned(),
        name => format!("exchange '{name}' ({})", asked.kind),
    };
    match &asked.chooses {
        None => name,
        Some(how) => format!("{name}, to one of them by {how}"),
    }
}

/// The key and the arguments of a binding, where there are any.
fn by(tried: &BindingStep) -> String {
    let mut text = String::new();
    if !tried.routing_key.is_empty() {
        text = format!(" by '{}'", tried.routing_key);
    }
    let arguments = tried.arguments.as_object().filter(|arguments| !arguments.is_empty());
    if let Some(arguments) = arguments {
        let pairs: Vec<String> =
            arguments.iter().map(|(name, value)| format!("{name}={value}")).collect();
        text += " with ";
        text += &pairs.join(" ");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::route::{AlternateExchange, Certainty};

    fn tried(to: BindingEnd, key: &str, matches: bool, why: &str) -> BindingStep {
        let (routing_key, arguments, why) = (key.to_owned(), json!({}), why.to_owned());
        BindingStep { to, routing_key, arguments, matches, why, likeness: 0.0 }
    }

    fn queue(name: &str) -> BindingEnd {
        BindingEnd::Queue(name.to_owned())
    }

    fn asked(exchange: &str, kind: &str, tried: Vec<BindingStep>) -> ExchangeStep {
        ExchangeStep {
            exchange: exchange.to_owned(),
            kind: kind.to_owned(),
            sure: Certainty::Yes,
            chooses: None,
            tried,
            alternate: None,
        }
    }

    #[test]
    fn the_way_is_a_tree_and_each_exchange_is_in_it_once() {
        let exchange = |name: &str| BindingEnd::Exchange(name.to_owned());
        let mut first = asked(
            "orders",
            "topic",
            vec![
                tried(queue("all"), "#", true, ""),
                tried(exchange("copy"), "eu.*", true, ""),
                tried(queue("us"), "us.*", false, "word 1 is 'eu', not 'us'"),
            ],
        );
        let unused = AlternateExchange { exchange: "lost".into(), used: AlternateUse::NotNeeded };
        first.alternate = Some(unused);
        let mut copy = asked(
            "copy",
            "x-random",
            vec![tried(queue("a"), "", true, ""), tried(exchange("orders"), "", true, "")],
        );
        copy.chooses = Some("chance".into());
        let way = RouteReport { exchanges: vec![first, copy], ..RouteReport::default() };
        let expected = "\
exchange 'orders' (topic)
├─ queue 'all' by '#'
├─ exchange 'copy' (x-random), to one of them by chance by 'eu.*'
│  ├─ perhaps queue 'a'
│  └─ perhaps exchange 'orders', asked already
├─ not exchange 'lost': the alternate exchange: a binding matched
├─ not queue 'us' by 'us.*': word 1 is 'eu', not 'us'
└─ not by 12 more bindings; --all shows them";
        assert_eq!(lines(&way, &[12, 0]).join("\n"), expected);
    }

    #[test]
    fn an_alternate_that_is_asked_is_a_branch() {
        let mut first = asked("x", "direct", Vec::new());
        first.alternate =
            Some(AlternateExchange { exchange: "lost".into(), used: AlternateUse::Yes });
        let way = RouteReport {
            exchanges: vec![first, asked("lost", "fanout", Vec::new())],
            ..RouteReport::default()
        };
        let expected = "\
exchange 'x' (direct)
└─ exchange 'lost' (fanout): the alternate exchange: no binding matched
   └─ nothing is bound to it";
        assert_eq!(lines(&way, &[0, 0]).join("\n"), expected);
    }
}
