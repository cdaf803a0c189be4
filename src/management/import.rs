//! Definitions that come in: read as a whole first, then put, so that what cannot be understood changes nothing.
//!
//! Semantics are RabbitMQ's: users, vhosts, permissions, policies and parameters take the place of what is there; queues,
//! exchanges and bindings that are there stay as they are. What the broker refuses while they are put leaves what was
//! put before.
//!
//! Reading order: [`Definitions::read`], [`Definitions::put`].

use serde_json::{Map, Value, json};

use super::change::{
    Body, NOBODY, no_component, policies, read_binding, read_exchange, read_parameter,
    read_permission, read_policy, read_queue, read_topic, read_user, read_vhost,
};
use super::refusal::Refusal;
use crate::broker::Broker;
use crate::broker::admin::{PolicyName, VhostChange};
use crate::broker::auth::{Permission, TopicPermission, User};
use crate::broker::exchange::ExchangeSettings;
use crate::broker::policies::Author;
use crate::broker::queue::Millis;
use crate::broker::vhost::{BindingRequest, QueueDeclaration, Vhost};
use crate::wire::{FieldTable, FieldValue, ReplyCode, ShortStr};

/// Why definitions were not taken: RabbitMQ's reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ImportError(String);

impl From<Refusal> for ImportError {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.reason())
    }
}

/// Something in a vhost.
type In<T> = (ShortStr, T);

/// Definitions, read.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    users: Vec<User>,
    vhosts: Vec<In<VhostChange>>,
    limits: Vec<In<FieldTable>>,
    permissions: Vec<In<(ShortStr, Permission)>>,
    topics: Vec<In<(ShortStr, TopicPermission)>>,
    policies: Vec<(PolicyName, FieldTable)>,
    globals: Vec<(ShortStr, FieldValue)>,
    queues: Vec<In<QueueDeclaration>>,
    exchanges: Vec<In<ExchangeSettings>>,
    bindings: Vec<In<BindingRequest>>,
}

/// How what is not there is taken when bindings speak of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// RabbitMQ leaves such bindings out.
    LeftOut,
    Refused,
}

/// The objects of a list of definitions.
fn objects(root: &Map<String, Value>, list: &str) -> Result<Vec<Body>, Refusal> {
    let Some(value) = root.get(list) else { return Ok(Vec::new()) };
    let wrong = || Refusal::bad_request(format!("{list} should be a list of objects"));
    let values = value.as_array().ok_or_else(wrong)?;
    let object = |value: &Value| value.as_object().cloned().map(Body).ok_or_else(wrong);
    values.iter().map(object).collect()
}

impl Definitions {
    /// Reads definitions; `vhost` is where all is to go, when it is one vhost's.
    ///
    /// # Errors
    ///
    /// RabbitMQ's reason for the first that is not what it should be.
    pub(super) fn read(
        root: &Map<String, Value>,
        vhost: Option<&ShortStr>,
        broker: &Broker,
    ) -> Result<Self, Refusal> {
        let mut read = Self::default();
        let place = |body: &Body| match vhost {
            Some(vhost) => Ok(vhost.clone()),
            None => body.name("vhost"),
        };
        if vhost.is_none() {
            read.read_people(root)?;
        }
        for body in objects(root, "policies")? {
            let name = place(&body).and_then(|vhost| Ok((vhost, body.name("name")?)))?;
            read.policies.push((policy(Author::User, name), read_policy(&body)?));
        }
        for body in objects(root, "parameters")? {
            read.read_parameter(place(&body)?, &body)?;
        }
        for body in objects(root, "queues")? {
            body.require(&["name", "durable", "auto_delete", "arguments"])?;
            read.queues.push((place(&body)?, read_queue(body.name("name")?, &body)?));
        }
        for body in objects(root, "exchanges")? {
            body.require(&["name", "type", "durable", "auto_delete", "arguments"])?;
            let settings = read_exchange(body.name("name")?, &body, broker.compat())?;
            // Those that every vhost has need not be declared.
            if !settings.name.is_empty() && !settings.name.starts_with("amq.") {
                read.exchanges.push((place(&body)?, settings));
            }
        }
        for body in objects(root, "bindings")? {
            let request = read_binding(&body)?;
            if !request.source.is_empty() {
                read.bindings.push((place(&body)?, request));
            }
        }
        read.check(broker)?;
        Ok(read)
    }

    /// Users, vhosts and what is granted.
    fn read_people(&mut self, root: &Map<String, Value>) -> Result<(), Refusal> {
        for body in objects(root, "users")? {
            self.users.push(read_user(body.name("name")?, &body)?);
        }
        for body in objects(root, "vhosts")? {
            let name = body.name("name")?;
            // RabbitMQ 4 has limits here, as a list of pairs or an object.
            if let Some(Value::Object(limits)) = body.get("limits")
                && !limits.is_empty()
            {
                self.limits.push((name.clone(), super::json::sorted(limits)?));
            }
            self.vhosts.push((name, read_vhost(&body)?));
        }
        for body in objects(root, "permissions")? {
            let granted = (body.name("user")?, read_permission(&body)?);
            self.permissions.push((body.name("vhost")?, granted));
        }
        for body in objects(root, "topic_permissions")? {
            let granted = (body.name("user")?, read_topic(&body)?);
            self.topics.push((body.name("vhost")?, granted));
        }
        for body in objects(root, "global_parameters")? {
            let value = body.get("value").unwrap_or(&Value::Null);
            self.globals.push((body.name("name")?, read_parameter(value)?));
        }
        Ok(())
    }

    fn read_parameter(&mut self, vhost: ShortStr, body: &Body) -> Result<(), Refusal> {
        body.require(&["component", "name", "value"])?;
        let value = read_parameter(body.get("value").unwrap_or(&Value::Null))?;
        let (component, name) = (body.text("component")?, body.name("name")?);
        match (component, value) {
            ("vhost-limits", FieldValue::Table(limits)) => self.limits.push((vhost, limits)),
            ("operator_policy", FieldValue::Table(value)) => {
                self.policies.push((policy(Author::Operator, (vhost, name)), value));
            }
            _ => return Err(no_component(component).about(&vhost, &format!("{component}/{name}"))),
        }
        Ok(())
    }

    /// Refuses what speaks of what is neither there nor comes, and policies that are none.
    fn check(&self, broker: &Broker) -> Result<(), Refusal> {
        let has_vhost = |name: &ShortStr| {
            self.vhosts.iter().any(|(vhost, _)| vhost == name) || broker.vhost(name).is_ok()
        };
        let has_user = |name: &ShortStr| {
            self.users.iter().any(|user| user.name == *name) || broker.users.get(name).is_some()
        };
        let granted = self.permissions.iter().map(|(vhost, (user, _))| (vhost, user));
        let topics = self.topics.iter().map(|(vhost, (user, _))| (vhost, user));
        for (vhost, user) in granted.chain(topics) {
            if !has_user(user) {
                return Err(Refusal::BadReason(json!(["no_such_user", user.as_str()])));
            }
            if !has_vhost(vhost) {
                return Err(Refusal::BadReason(json!(["no_such_vhost", vhost.as_str()])));
            }
        }
        let vhosts = self.queues.iter().map(|(vhost, _)| vhost);
        let vhosts = vhosts.chain(self.exchanges.iter().map(|(vhost, _)| vhost));
        let vhosts = vhosts.chain(self.bindings.iter().map(|(vhost, _)| vhost));
        let vhosts = vhosts.chain(self.limits.iter().map(|(vhost, _)| vhost));
        for vhost in vhosts.chain(self.policies.iter().map(|(name, _)| &name.vhost)) {
            if !has_vhost(vhost) {
                return Err(Refusal::BadReason(json!(["no_such_vhost", vhost.as_str()])));
            }
        }
        for (name, value) in &self.policies {
            let checked = broker.check_policy(name, value);
            checked.map_err(|fault| {
                policies::refused(Author::Operator, fault).about(&name.vhost, &name.name)
            })?;
        }
        Ok(())
    }

    /// Puts everything; `user` made the vhosts that are new, and may do everything in them.
    ///
    /// # Errors
    ///
    /// What the broker refuses; what comes before it is put.
    pub(super) fn put(
        self,
        broker: &Broker,
        user: Option<&ShortStr>,
        missing: Missing,
        now: Millis,
    ) -> Result<(), Refusal> {
        for user in self.users {
            let limits = user.limits;
            let name = user.name.clone();
            broker.put_user(user)?;
            broker.limit_user(&name, |current| *current = limits)?;
        }
        for (name, change) in self.vhosts {
            broker.put_vhost(&name, change, user)?;
        }
        for (vhost, (user, permission)) in self.permissions {
            broker.grant(&vhost, &user, permission)?;
        }
        for (vhost, (user, topic)) in self.topics {
            broker.grant_topic(&vhost, &user, topic)?;
        }
        for (vhost, limits) in self.limits {
            broker.limit_vhost(&vhost, limits)?;
        }
        for (name, value) in self.globals {
            broker.set_global(&name, value)?;
        }
        for (name, value) in self.policies {
            broker.put_policy(&name, value, now)?;
        }
        for (vhost, queue) in self.queues {
            let vhost = broker.vhost(&vhost)?;
            if vhost.find_queue(&queue.name).is_none() {
                vhost.declare_queue(queue, false, NOBODY, now)?;
            }
        }
        for (vhost, exchange) in self.exchanges {
            let vhost = broker.vhost(&vhost)?;
            if vhost.find_exchange(&exchange.name).is_none() {
                vhost.declare_exchange(exchange)?;
            }
        }
        for (vhost, binding) in self.bindings {
            let vhost = broker.vhost(&vhost)?;
            bind(&vhost, binding, missing)?;
        }
        Ok(())
    }
}

fn bind(vhost: &Vhost, binding: BindingRequest, missing: Missing) -> Result<(), Refusal> {
    match vhost.bind(binding, NOBODY) {
        Err(fault) if fault.code == ReplyCode::NotFound && missing == Missing::LeftOut => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

fn policy(author: Author, (vhost, name): (ShortStr, ShortStr)) -> PolicyName {
    PolicyName { author, vhost, name }
}

/// Puts the definitions of a file, all of which must be good.
///
/// # Errors
///
/// What is wrong: nothing is changed by what cannot be read. Should the broker refuse something of what was read, what
/// came before it is there.
pub fn import_definitions(broker: &Broker, bytes: &[u8]) -> Result<(), ImportError> {
    let root: Value = serde_json::from_slice(bytes)
        .map_err(|error| ImportError(format!("they are no JSON: {error}")))?;
    let Value::Object(root) = root else {
        return Err(ImportError("they are no JSON object".to_owned()));
    };
    let definitions = Definitions::read(&root, None, broker)?;
    Ok(definitions.put(broker, None, Missing::Refused, 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::admin::ParameterName;

    fn global(name: &str) -> ParameterName {
        let (vhost, component) = (ShortStr::empty(), ShortStr::empty());
        ParameterName { vhost, component, name: name.parse().unwrap() }
    }

    fn import(broker: &Broker, root: &Value) -> Result<(), String> {
        import_definitions(broker, root.to_string().as_bytes()).map_err(|error| error.to_string())
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
            (json!([]), "they are no JSON object"),
            (json!({"users": [{"name": "x"}]}), "tags_not_present"),
            (json!({"users": user, "permissions": [{"user": "eve", "vhost": "/", "configure": "", "write": "", "read": ""}]}),
                "[\"no_such_user\",\"eve\"]"),
            (json!({"users": user, "queues": [{"name": "z", "vhost": "nov", "durable": true, "auto_delete": false, "arguments": {}}]}),
                "[\"no_such_vhost\",\"nov\"]"),
            (json!({"users": user, "queues": [{"name": "z", "vhost": "/", "durable": true}]}),
                "[{key_missing,auto_delete},{key_missing,arguments}]"),
            (json!({"users": user, "policies": [{"name": "q", "vhost": "/", "pattern": "(", "definition": {}, "apply-to": "all", "priority": 0}]}),
                "Validation failed\n\nno policy provided\npattern should be regular expression but is invalid: {\"missing )\",1}\n (//q)"),
            (json!({"users": user, "parameters": [{"name": "q", "vhost": "/", "component": "shovel", "value": {}}]}),
                "Validation failed\n\ncomponent shovel not found\n (//shovel/q)"),
        ];
        for (root, told) in cases {
            let broker = Broker::new("mq@test".into());
            assert_eq!(import(&broker, &root), Err(told.to_owned()), "{root}");
            assert_eq!(broker.users.list().len(), 1);
        }
    }
}
