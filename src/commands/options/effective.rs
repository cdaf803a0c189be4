//! The values that options have in the end, by the keys of the configuration.

/// A key of the configuration, the option that sets it, and its value; `None` if it is not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) struct EffectiveValue {
    pub key: String,
    pub option: &'static str,
    pub value: Option<String>,
}

impl EffectiveValue {
    pub(in crate::commands) fn new(
        key: impl Into<String>,
        option: &'static str,
        value: Option<String>,
    ) -> Self {
        Self { key: key.into(), option, value }
    }
}
