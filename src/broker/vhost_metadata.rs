//! The metadata of a vhost: its description, tags, default queue type, and two flags.

/// The metadata of a vhost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VhostMetadata {
    pub description: String,
    pub tags: Vec<String>,
    /// The type of queues that are declared without one.
    pub default_queue_type: Option<String>,
    /// The firehose is on.
    pub is_traced: bool,
    /// It cannot be deleted.
    pub is_protected: bool,
}

impl VhostMetadata {
    /// The metadata of a vhost that has just been made.
    pub fn of_new(name: &str) -> Self {
        let description = if name == "/" { "Default virtual host" } else { "" };
        Self { description: description.to_owned(), ..Self::default() }
    }
}

/// A change of a vhost's metadata; `None` leaves a value as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VhostChange {
    pub description: Option<String>,
    pub tags: Option<Vec<String>>,
    pub default_queue_type: Option<String>,
    pub is_traced: Option<bool>,
    pub is_protected: Option<bool>,
}

impl VhostChange {
    pub(in crate::broker) fn apply(self, metadata: &mut VhostMetadata) {
        let Self { description, tags, default_queue_type, is_traced, is_protected } = self;
        if let Some(description) = description {
            metadata.description = description;
        }
        if let Some(tags) = tags {
            metadata.tags = tags;
        }
        if default_queue_type.is_some() {
            metadata.default_queue_type = default_queue_type;
        }
        if let Some(is_traced) = is_traced {
            metadata.is_traced = is_traced;
        }
        if let Some(is_protected) = is_protected {
            metadata.is_protected = is_protected;
        }
    }
}
