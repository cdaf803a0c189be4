//! The two authors of policies.

/// The author of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    User,
    /// Limits that users cannot lift.
    Operator,
}

impl Author {
    pub const BOTH: [Self; 2] = [Self::User, Self::Operator];

    /// The component that such policies are parameters of.
    pub fn component(self) -> &'static str {
        match self {
            Self::User => "policy",
            Self::Operator => "operator_policy",
        }
    }
}
