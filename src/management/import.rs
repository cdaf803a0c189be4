//! Definitions that come in: read as a whole, checked, then put, so that what cannot be taken changes nothing.
//!
//! Semantics are RabbitMQ's: users, vhosts, permissions, policies and parameters take the place of what is there;
//! queues, exchanges and bindings that are there stay as they are. Missing fields get RabbitMQ's defaults. Queues and
//! exchanges whose names begin with `amq.` are left out. Parameters of components that this broker does not run
//! (shovels, federation) are kept, listed and exported, and do nothing.
//!
//! Reading order: [`DefinitionsFile::read`], [`DefinitionsFile::import`]; `definition_lists` reads the lists.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::change::policies;
use super::definition_lists::DefinitionsReading;
use super::refusal::Refusal;
use super::view::INTERNAL_USER;
use crate::broker::admin::NewDefinitions;
use crate::broker::auth::Hashing;
use crate::broker::policies::Author;
use crate::broker::time::Millis;
use crate::broker::{Broker, Defaults};
use crate::json_text;
use crate::wire::ShortStr;
use crate::wire::shortstr::literal;

/// The reason for refusing definitions, in RabbitMQ's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ImportError(String);

impl From<Refusal> for ImportError {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.reason())
    }
}

/// Definitions as they are in a file: a JSON object.
#[derive(Debug)]
pub struct DefinitionsFile(Map<String, Value>);

/// UTF-8's byte order mark, with which some editors begin a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The first release that exported how passwords are hashed; before, it was MD5.
const WITH_HASHING: (u64, u64) = (3, 6);

impl DefinitionsFile {
    /// Reads a file; a byte order mark at its beginning is passed over.
    ///
    /// # Errors
    ///
    /// If it is not JSON, or not an object.
    pub fn read(bytes: &[u8]) -> Result<Self, ImportError> {
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        match json_text::read(bytes) {
            Ok(Value::Object(root)) => Ok(Self(root)),
            Err(error) if error.is_data() => Err(ImportError(error.to_string())),
            Ok(_) => Err(ImportError("they are not a JSON object".to_owned())),
            Err(error) => Err(ImportError(format!("they are not JSON: {error}"))),
        }
    }

    /// Returns the defaults of a new broker that takes these definitions in first: no user `guest` if they bring users,
    /// and no vhost `/` if they bring vhosts.
    pub fn defaults(&self, usual: Defaults) -> Defaults {
        let brings = |list: &str| {
            self.0.get(list).and_then(Value::as_array).is_some_and(|list| !list.is_empty())
        };
        Defaults {
            vhost: usual.vhost.filter(|_| !brings("vhosts")),
            user: usual.user.filter(|_| !brings("users")),
            permission: usual.permission,
        }
    }

    /// Takes the definitions in, all of which must be good.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong. Nothing is changed then.
    pub fn import(&self, broker: &Broker) -> Result<(), ImportError> {
        Ok(self.put(broker, None, None, 0)?)
    }

    /// The same, by `user`, who may do everything in the vhosts that are new; `vhost` is where all is to go, if it is
    /// one vhost's.
    pub(super) fn put(
        &self,
        broker: &Broker,
        vhost: Option<&ShortStr>,
        user: Option<&ShortStr>,
        now: Millis,
    ) -> Result<(), Refusal> {
        let mut reading = DefinitionsReading {
            vhost: vhost.cloned(),
            user: user.cloned().unwrap_or_else(|| literal(INTERNAL_USER)),
            compat: broker.compat(),
            hashing: self.implied_hashing(),
            kept: BTreeSet::new(),
            new: NewDefinitions::default(),
        };
        reading.read(&self.0)?;
        let DefinitionsReading { new, kept, .. } = reading;
        check(&new, broker)?;
        if !kept.is_empty() {
            let components = kept.into_iter().collect::<Vec<_>>().join(", ");
            tracing::warn!(
                components,
                "the definitions have parameters of components that mq does not run; they are kept and do nothing"
            );
        }
        Ok(broker.import(&new, user, now)?)
    }

    /// Returns the hash of passwords if the file does not name it: it depends on the release that wrote the file.
    fn implied_hashing(&self) -> Hashing {
        let version =
            ["rabbit_version", "rabbitmq_version"].iter().find_map(|key| self.0.get(*key));
        let mut parts = version.and_then(Value::as_str).unwrap_or_default().split('.');
        let mut number = || parts.next()?.parse::<u64>().ok();
        match (number(), number()) {
            (Some(major), Some(minor)) if (major, minor) < WITH_HASHING => Hashing::Md5,
            _ => Hashing::default(),
        }
    }
}

/// Refuses what speaks of what is neither there nor comes, and policies that are none.
fn check(new: &NewDefinitions, broker: &Broker) -> Result<(), Refusal> {
    let has_vhost = |name: &ShortStr| {
        new.vhosts.iter().any(|(vhost, _)| vhost == name) || broker.vhost(name).is_ok()
    };
    let has_user = |name: &ShortStr| {
        new.users.iter().any(|user| user.name == *name) || broker.users.get(name).is_some()
    };
    let granted = new.permissions.iter().map(|(vhost, (user, _))| (vhost, user));
    let topics = new.topics.iter().map(|(vhost, (user, _))| (vhost, user));
    for (vhost, user) in granted.chain(topics) {
        if !has_user(user) {
            return Err(Refusal::BadReason(json!(["no_such_user", user.as_str()])));
        }
        if !has_vhost(vhost) {
            return Err(Refusal::BadReason(json!(["no_such_vhost", vhost.as_str()])));
        }
    }
    let vhosts = new.queues.iter().map(|(vhost, _)| vhost);
    let vhosts = vhosts.chain(new.exchanges.iter().map(|(vhost, _)| vhost));
    let vhosts = vhosts.chain(new.bindings.iter().map(|(vhost, _)| vhost));
    let vhosts = vhosts.chain(new.limits.iter().map(|(vhost, _)| vhost));
    let kept = new.parameters.iter().filter(|one| !one.name.component.is_empty());
    let vhosts = vhosts.chain(kept.map(|one| &one.name.vhost));
    let vhosts = vhosts.chain(new.policies.iter().map(|(name, _)| &name.vhost));
    if let Some(vhost) = vhosts.collect::<BTreeSet<_>>().into_iter().find(|name| !has_vhost(name)) {
        if !broker.compat().is_3_10() {
            let reason =
                format!("Please create virtual host \"{vhost}\" prior to importing definitions.");
            return Err(Refusal::bad_request(reason));
        }
        return Err(Refusal::BadReason(json!(["no_such_vhost", vhost.as_str()])));
    }
    for (name, value) in &new.policies {
        let checked = broker.check_policy(name, value);
        checked.map_err(|fault| {
            policies::refused(Author::Operator, fault, broker.compat())
                .about(&name.vhost, &name.name)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::parameters::ParameterName;
    use crate::wire::FieldValue;

    fn global(name: &str) -> ParameterName {
        let (vhost, component) = (ShortStr::empty(), ShortStr::empty());
        ParameterName { vhost, component, name: name.parse().unwrap() }
    }

    fn import(broker: &Broker, root: &Value) -> Result<(), String> {
        let file = DefinitionsFile::read(root.to_string().as_bytes());
        file.and_then(|file| file.import(broker)).map_err(|error| error.to_string())
    }

    #[test]
    fn definitions_come_in_over_what_is_there() {
        let broker = Broker::new("mq@test".into());
        let root = json!({
            "users": [{"name": "bob", "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
                       "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": "monitoring", "limits": {"max-channels": 3}}],
            "vhosts": [{"name": "/"}, {"name": "v", "metadata": {"description": "d", "tags": ["t"]}}],
            "permissions": [{"user": "bob", "vhost": "v", "configure": "^c", "write": ".*", "read": ""}],
            "topic_permissions": [{"user": "bob", "vhost": "v", "exchange": "amq.topic", "write": "a", "read": "b"}],
            "parameters": [
                {"vhost": "v", "component": "vhost-limits", "name": "limits", "value": {"max-queues": 5}},
                {"vhost": "v", "component": "operator_policy", "name": "o",
                 "value": {"pattern": "", "apply-to": "queues", "priority": 0, "definition": {"max-length": 3}}},
            ],
            "global_parameters": [{"name": "g", "value": 5}],
            "policies": [{"vhost": "v", "name": "p", "pattern": "^q", "apply-to": "queues", "priority": 1,
                          "definition": {"message-ttl": 700}}],
            "queues": [{"name": "q", "vhost": "v", "durable": true, "auto_delete": false, "arguments": {}}],
            "exchanges": [{"name": "x", "vhost": "v", "type": "topic", "durable": true, "auto_delete": false,
                           "internal": false, "arguments": {}}],
            "bindings": [{"source": "x", "vhost": "v", "destination": "q", "destination_type": "queue",
                          "routing_key": "k", "arguments": {}}],
        });
        for _ in 0..2 {
            import(&broker, &root).unwrap();
        }
        let bob = broker.users.get("bob").unwrap();
        assert!(bob.password.fits(b"test12"));
        assert_eq!((bob.tags, bob.limits.channels_max), (vec!["monitoring".to_owned()], Some(3)));
        let vhost = broker.vhost("v").unwrap();
        assert_eq!(vhost.metadata().description, "d");
        assert_eq!(vhost.limits().queues_max, Some(5));
        let limits = vhost.find_queue("q").unwrap().limits();
        assert_eq!((limits.message_ttl_ms, limits.max_length), (Some(700), Some(3)));
        assert_eq!(vhost.bindings().len(), 2);
        assert_eq!(broker.permissions.get("bob", "v").unwrap().configure.as_str(), "^c");
        assert_eq!(broker.permissions.list_topics().len(), 1);
        assert_eq!(broker.parameters.get(&global("g")), Some(FieldValue::I64(5)));
    }

    #[test]
    fn what_cannot_be_read_changes_nothing() {
        let user = json!([{"name": "bob", "password": "x", "tags": ""}]);
        #[rustfmt::skip]
        let cases = [
            (json!([]), "they are not a JSON object"),
            (json!({"users": [{"name": "x"}]}), "tags_not_present"),
            (json!({"users": user, "permissions": [{"user": "eve", "vhost": "/", "configure": "", "write": "", "read": ""}]}),
                "[\"no_such_user\",\"eve\"]"),
            (json!({"users": user, "queues": [{"name": "z", "vhost": "nov", "durable": true, "auto_delete": false, "arguments": {}}]}),
                "Please create virtual host \"nov\" prior to importing definitions."),
            (json!({"users": user, "exchanges": [{"name": "z", "vhost": "/", "durable": true}]}),
                "[{key_missing,type}]"),
            (json!({"users": user, "queues": [{"name": "z", "vhost": "/", "arguments": {"x-max-length": -1}}]}),
                "invalid arg 'x-max-length' for queue 'z' in vhost '/': {value_negative,-1}"),
            (json!({"users": user, "policies": [{"name": "q", "vhost": "/", "pattern": "(", "definition": {}, "apply-to": "all", "priority": 0}]}),
                "Validation failed\n\nno policy provided\npattern should be regular expression but is invalid: {\"missing )\",1}\n (//q)"),
        ];
        for (root, told) in cases {
            let broker = Broker::new("mq@test".into());
            assert_eq!(import(&broker, &root), Err(told.to_owned()), "{root}");
            assert_eq!(broker.users.list().len(), 1);
        }
    }
}
