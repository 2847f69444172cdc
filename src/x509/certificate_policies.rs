//! Certificate policies (RFC 5280, section 6.1). A CA may require that one policy is valid for the whole path below it. This
//! server requires none itself.
//!
//! Any policy will do here. So of the tree in section 6.1 only two things are kept: the policies that the next certificate
//! may have, and whether there are any. That takes no more space than the certificates themselves (RFC 9618).

use std::collections::HashSet;

use super::certificate::Certificate;
use super::extensions::{ANY_POLICY, Policies};

/// Why no policy is valid for a path, which is given from the client's certificate upwards: the position of the certificate
/// at which it fails, and the reason.
pub(crate) fn check(path: &[&Certificate<'_>], anchor: &Certificate<'_>) -> Result<(), (usize, &'static str)> {
    let mut state = State::at(&anchor.policies);
    for (position, certificate) in path.iter().enumerate().rev() {
        state.take(certificate, position == 0);
        match position {
            0 => state.end_with(&certificate.policies),
            _ => state.go_below(certificate).map_err(|why| (position, why))?,
        }
        if state.explicit_policy == 0 && !state.any && state.policies.is_empty() {
            return Err((position, "a CA above it requires a certificate policy, and none is valid down to here"));
        }
    }
    Ok(())
}

/// The variables of section 6.1.2.
struct State<'a> {
    /// The policies that the next certificate may have: these, and any policy at all if so said.
    any: bool,
    policies: HashSet<&'a [u8]>,
    /// After this many more certificates a policy is required.
    explicit_policy: u32,
    policy_mapping: u32,
    inhibit_any_policy: u32,
}

impl<'a> State<'a> {
    /// No policy is required, unless the trust anchor requires one (RFC 5937).
    fn at(anchor: &Policies<'a>) -> Self {
        let policies: HashSet<_> = anchor.named.iter().flatten().copied().collect();
        let mut state = Self {
            any: anchor.named.is_none() || policies.contains(ANY_POLICY),
            policies,
            explicit_policy: u32::MAX,
            policy_mapping: u32::MAX,
            inhibit_any_policy: u32::MAX,
        };
        state.policies.remove(ANY_POLICY);
        state.limit(anchor);
        state
    }

    /// Section 6.1.3 (d) and (e).
    fn take(&mut self, certificate: &Certificate<'a>, is_last: bool) {
        let named: HashSet<_> = certificate.policies.named.iter().flatten().copied().collect();
        let any_counts = self.inhibit_any_policy > 0 || !is_last && certificate.is_self_issued();
        if named.contains(ANY_POLICY) && any_counts {
            // The policies that were valid so far remain. The certificate's other policies were already valid, or any policy
            // was.
            return;
        }
        let any = std::mem::take(&mut self.any);
        let held = std::mem::take(&mut self.policies);
        self.policies =
            named.into_iter().filter(|policy| *policy != ANY_POLICY && (any || held.contains(policy))).collect();
    }

    /// Section 6.1.4 (a), (b), (h), (i) and (j).
    fn go_below(&mut self, certificate: &Certificate<'a>) -> Result<(), &'static str> {
        let mappings = &certificate.policies.mappings;
        if mappings.iter().any(|(from, to)| *from == ANY_POLICY || *to == ANY_POLICY) {
            return Err("it maps anyPolicy to another policy, or another to it");
        }
        // If any policy may be next, so may those that it is mapped to.
        let mapped = mappings.iter().filter(|(from, _)| self.policies.contains(from));
        let mapped: HashSet<_> = mapped.map(|(_, to)| *to).collect();
        for (from, _) in mappings {
            self.policies.remove(from);
        }
        if self.policy_mapping > 0 {
            self.policies.extend(mapped);
        }
        if !certificate.is_self_issued() {
            self.explicit_policy = self.explicit_policy.saturating_sub(1);
            self.policy_mapping = self.policy_mapping.saturating_sub(1);
            self.inhibit_any_policy = self.inhibit_any_policy.saturating_sub(1);
        }
        self.limit(&certificate.policies);
        Ok(())
    }

    /// What a CA requires of the certificates below it.
    fn limit(&mut self, policies: &Policies<'_>) {
        let least = |variable: u32, limit: Option<u32>| limit.map_or(variable, |limit| limit.min(variable));
        self.explicit_policy = least(self.explicit_policy, policies.require_explicit);
        self.policy_mapping = least(self.policy_mapping, policies.inhibit_mapping);
        self.inhibit_any_policy = least(self.inhibit_any_policy, policies.inhibit_any);
    }

    /// Section 6.1.5 (a) and (b).
    fn end_with(&mut self, policies: &Policies<'_>) {
        self.explicit_policy = self.explicit_policy.saturating_sub(1);
        if policies.require_explicit == Some(0) {
            self.explicit_policy = 0;
        }
    }
}
