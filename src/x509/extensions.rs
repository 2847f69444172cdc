//! The certificate extensions that a verdict depends on (RFC 5280, section 4.2), read strictly.

use super::der::{NotDer, Reader, dotted, integer, natural, only, tag};

/// The values of the extensions, or the defaults for missing ones.
#[derive(Debug, Default)]
pub(crate) struct Extensions<'a> {
    pub(crate) basic_constraints: Option<BasicConstraints>,
    pub(crate) key_usage: Option<KeyUsage>,
    pub(crate) purposes: Option<Purposes>,
    pub(crate) subject_key_id: Option<&'a [u8]>,
    pub(crate) authority_key_id: Option<&'a [u8]>,
    /// Subject alternative names.
    pub(crate) alternative_names: Option<Vec<GeneralName<'a>>>,
    pub(crate) name_constraints: Option<NameConstraints<'a>>,
    /// The full names of the distribution points whose lists the issuer signs.
    pub(crate) distribution_points: Vec<GeneralName<'a>>,
    pub(crate) policies: Policies<'a>,
    /// The object identifier of an unsupported critical extension, if there is one.
    pub(crate) unknown_critical: Option<String>,
}

/// One extension, unread.
pub(crate) struct Extension<'a> {
    /// The content of its object identifier.
    pub(crate) id: &'a [u8],
    pub(crate) critical: bool,
    pub(crate) value: &'a [u8],
}

/// RFC 5280, section 4.2.1.9.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BasicConstraints {
    pub(crate) ca: bool,
    /// How many intermediates may follow.
    pub(crate) path_length: Option<u32>,
}

/// RFC 5280, section 4.2.1.3: what its key may sign.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyUsage {
    pub(crate) handshakes: bool,
    pub(crate) certificates: bool,
    pub(crate) crls: bool,
}

/// RFC 5280, section 4.2.1.12: the extended key usage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purposes {
    /// clientAuth or any.
    pub(crate) client: bool,
    /// serverAuth or any.
    pub(crate) server: bool,
}

/// A GeneralName (RFC 5280, section 4.2.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GeneralName<'a> {
    pub(crate) kind: NameKind,
    /// The content: text, an address, or a Name in DER.
    pub(crate) value: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NameKind {
    Other,
    Email,
    Dns,
    Directory,
    Uri,
    Ip,
    /// x400Address, ediPartyName or registeredID.
    Rare(u8),
}

/// RFC 5280, section 4.2.1.10.
#[derive(Debug, Default)]
pub(crate) struct NameConstraints<'a> {
    pub(crate) permitted: Vec<GeneralName<'a>>,
    pub(crate) excluded: Vec<GeneralName<'a>>,
    /// It has a minimum or maximum, which this profile does not allow.
    pub(crate) has_distances: bool,
}

/// RFC 5280, sections 4.2.1.4, 4.2.1.5, 4.2.1.11 and 4.2.1.14: the four extensions on certificate policies, which are object
/// identifiers.
#[derive(Debug, Default)]
pub(crate) struct Policies<'a> {
    /// The policies under which it was issued; `None`: there is no such extension.
    pub(crate) named: Option<Vec<&'a [u8]>>,
    pub(crate) mappings: Vec<Mapping<'a>>,
    /// After this many more certificates: a policy is required; policies are no longer mapped; anyPolicy no longer counts.
    pub(crate) require_explicit: Option<u32>,
    pub(crate) inhibit_mapping: Option<u32>,
    pub(crate) inhibit_any: Option<u32>,
}

/// A policy of the issuer, and an equivalent policy of the subject.
type Mapping<'a> = (&'a [u8], &'a [u8]);

/// The policy that stands for all others.
pub(crate) const ANY_POLICY: &[u8] = &[0x55, 0x1d, 32, 0];

impl<'a> Extensions<'a> {
    /// Reads the content of `[3]`: a SEQUENCE of extensions. The error says which one is broken or repeated.
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, String> {
        let broken = |_| "its list of extensions is broken".to_owned();
        let mut list = Reader::of(der, tag::SEQUENCE).map_err(broken)?;
        let (mut found, mut ids) = (Self::default(), Vec::new());
        while !list.is_at_end() {
            let Extension { id, critical, value } = Extension::next(&mut list).map_err(broken)?;
            ids.push(id);
            found.take(id, critical, value).map_err(|_| format!("a broken extension {}", dotted(id)))?;
        }
        if ids.is_empty() {
            return Err("its list of extensions is empty".to_owned());
        }
        // Section 4.2: "A certificate MUST NOT include more than one instance of a particular extension." They are sorted
        // because a stranger may send thousands.
        ids.sort_unstable();
        match ids.windows(2).find(|two| two[0] == two[1]) {
            Some(two) => Err(format!("the extension {} is there twice", dotted(two[0]))),
            None => Ok(found),
        }
    }

    fn take(&mut self, id: &[u8], critical: bool, value: &'a [u8]) -> Result<(), NotDer> {
        // id-ce, 2.5.29
        match id {
            [0x55, 0x1d, 14] => self.subject_key_id = Some(only(value, tag::OCTET_STRING)?),
            [0x55, 0x1d, 15] => self.key_usage = Some(key_usage(value)?),
            [0x55, 0x1d, 17] => self.alternative_names = Some(general_names(Reader::of(value, tag::SEQUENCE)?)?),
            [0x55, 0x1d, 19] => self.basic_constraints = Some(basic_constraints(value)?),
            [0x55, 0x1d, 30] => self.name_constraints = Some(name_constraints(value)?),
            [0x55, 0x1d, 31] => self.distribution_points = distribution_points(value)?,
            [0x55, 0x1d, 32] => self.policies.named = Some(certificate_policies(value)?),
            [0x55, 0x1d, 33] => self.policies.mappings = policy_mappings(value)?,
            [0x55, 0x1d, 35] => self.authority_key_id = authority_key_id(value)?,
            [0x55, 0x1d, 36] => {
                (self.policies.require_explicit, self.policies.inhibit_mapping) = policy_constraints(value)?;
            }
            [0x55, 0x1d, 37] => self.purposes = Some(purposes(value)?),
            [0x55, 0x1d, 54] => self.policies.inhibit_any = Some(natural(only(value, tag::INTEGER)?)?),
            _ if critical => self.unknown_critical = self.unknown_critical.take().or_else(|| Some(dotted(id))),
            _ => {}
        }
        Ok(())
    }
}

impl<'a> Extension<'a> {
    /// Reads one extension of a list (section 4.1).
    pub(crate) fn next(list: &mut Reader<'a>) -> Result<Self, NotDer> {
        list.sequence(|parts| {
            let (id, critical) = (parts.object_identifier()?, parts.boolean_or_false()?);
            Ok(Self { id, critical, value: parts.expect(tag::OCTET_STRING)? })
        })
    }
}

impl<'a> GeneralName<'a> {
    fn next(reader: &mut Reader<'a>) -> Result<Self, NotDer> {
        let element = reader.any()?;
        let kind = match element.tag {
            0xa0 => NameKind::Other,
            0x81 => NameKind::Email,
            0x82 => NameKind::Dns,
            0xa4 => NameKind::Directory,
            0x86 => NameKind::Uri,
            0x87 => NameKind::Ip,
            0xa3 | 0xa5 | 0x88 => NameKind::Rare(element.tag),
            _ => return Err(NotDer),
        };
        Ok(Self { kind, value: element.content })
    }

    /// The value, if it is text, as all kinds of text in a GeneralName are ASCII.
    pub(crate) fn text(&self) -> Option<&'a str> {
        std::str::from_utf8(self.value).ok().filter(|text| text.is_ascii())
    }
}

/// GeneralNames, of which there is one at least.
pub(crate) fn general_names(reader: Reader<'_>) -> Result<Vec<GeneralName<'_>>, NotDer> {
    reader.one_or_more(GeneralName::next)
}

fn key_usage(value: &[u8]) -> Result<KeyUsage, NotDer> {
    let bits = only(value, tag::BIT_STRING)?;
    let [unused @ 0..=7, bits @ ..] = bits else { return Err(NotDer) };
    // Bits that do not count are zero (X.690, section 11.2.1), or they would count for some programs.
    if bits.last().map_or(*unused > 0, |last| last.trailing_zeros() < u32::from(*unused)) {
        return Err(NotDer);
    }
    let bit = |number: u8| bits.first().is_some_and(|octet| octet & (0x80 >> number) != 0);
    Ok(KeyUsage { handshakes: bit(0), certificates: bit(5), crls: bit(6) })
}

fn basic_constraints(value: &[u8]) -> Result<BasicConstraints, NotDer> {
    let mut reader = Reader::of(value, tag::SEQUENCE)?;
    let ca = reader.boolean_or_false()?;
    let path_length = reader.optional(tag::INTEGER)?.map(natural).transpose()?;
    reader.end()?;
    Ok(BasicConstraints { ca, path_length })
}

fn name_constraints(value: &[u8]) -> Result<NameConstraints<'_>, NotDer> {
    let mut reader = Reader::of(value, tag::SEQUENCE)?;
    let mut found = NameConstraints::default();
    if reader.is_at_end() {
        return Err(NotDer);
    }
    let (permitted, excluded) = (reader.optional(tag::constructed(0))?, reader.optional(tag::constructed(1))?);
    reader.end()?;
    for (subtrees, to) in [(permitted, &mut found.permitted), (excluded, &mut found.excluded)] {
        let Some(subtrees) = subtrees else { continue };
        *to = Reader::new(subtrees).one_or_more(|subtrees| {
            subtrees.sequence(|subtree| {
                let name = GeneralName::next(subtree)?;
                // The default, 0, says nothing; neither is it to be there.
                let minimum = subtree.optional(tag::context(0))?;
                let maximum = subtree.optional(tag::context(1))?;
                found.has_distances |= minimum.is_some_and(|minimum| minimum != [0]) || maximum.is_some();
                Ok(name)
            })
        })?;
    }
    Ok(found)
}

/// RFC 5280, section 4.2.1.13. Left out are points whose lists somebody else signs, and points that are named relative to the
/// issuer: no list of the issuer can be matched with them.
fn distribution_points(value: &[u8]) -> Result<Vec<GeneralName<'_>>, NotDer> {
    let points = Reader::of(value, tag::SEQUENCE)?.all(|points| {
        let (name, issuer) = points.sequence(|point| {
            let name = point.optional(tag::constructed(0))?;
            point.optional(tag::context(1))?;
            Ok((name, point.optional(tag::constructed(2))?))
        })?;
        let Some(name) = name else { return Ok(Vec::new()) };
        let mut name = Reader::new(name);
        let full = name.optional(tag::constructed(0))?;
        if full.is_none() {
            name.expect(tag::constructed(1))?;
        }
        name.end()?;
        match (full, issuer) {
            (Some(full), None) => general_names(Reader::new(full)),
            _ => Ok(Vec::new()),
        }
    })?;
    Ok(points.concat())
}

/// Policy qualifiers are for people, and are not checked.
fn certificate_policies(value: &[u8]) -> Result<Vec<&[u8]>, NotDer> {
    Reader::of(value, tag::SEQUENCE)?.one_or_more(|policies| {
        policies.sequence(|policy| {
            let id = policy.object_identifier()?;
            policy.optional(tag::SEQUENCE)?;
            Ok(id)
        })
    })
}

fn policy_mappings(value: &[u8]) -> Result<Vec<Mapping<'_>>, NotDer> {
    Reader::of(value, tag::SEQUENCE)?.one_or_more(|mappings| {
        mappings.sequence(|mapping| Ok((mapping.object_identifier()?, mapping.object_identifier()?)))
    })
}

/// requireExplicitPolicy and inhibitPolicyMapping, at least one of them.
fn policy_constraints(value: &[u8]) -> Result<(Option<u32>, Option<u32>), NotDer> {
    let mut reader = Reader::of(value, tag::SEQUENCE)?;
    let require_explicit = reader.optional(tag::context(0))?.map(natural).transpose()?;
    let inhibit_mapping = reader.optional(tag::context(1))?.map(natural).transpose()?;
    reader.end()?;
    if require_explicit.or(inhibit_mapping).is_none() { Err(NotDer) } else { Ok((require_explicit, inhibit_mapping)) }
}

fn authority_key_id(value: &[u8]) -> Result<Option<&[u8]>, NotDer> {
    let mut reader = Reader::of(value, tag::SEQUENCE)?;
    let id = reader.optional(tag::context(0))?;
    reader.optional(tag::constructed(1))?;
    reader.optional(tag::context(2))?.map(integer).transpose()?;
    reader.end()?;
    Ok(id)
}

/// Compared as encoded, because decoding could drop bits of a large arc.
fn purposes(value: &[u8]) -> Result<Purposes, NotDer> {
    const ANY: &[u8] = &[0x55, 0x1d, 37, 0];
    const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
    const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
    let purposes = Reader::of(value, tag::SEQUENCE)?.one_or_more(Reader::object_identifier)?;
    let has = |purpose| purposes.contains(&purpose) || purposes.contains(&ANY);
    Ok(Purposes { client: has(CLIENT_AUTH), server: has(SERVER_AUTH) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// A stranger's certificate has room for so many. To look through all that went before for each took a second.
    #[test]
    fn d3_thousands_of_extensions_are_read_in_no_time() {
        let extension = |number: u16| [0x30, 6, 0x06, 2, (number >> 7) as u8 | 0x80, number as u8 & 0x7f, 0x04, 0];
        let list: Vec<u8> = (0x80..0x80 + 8000).flat_map(extension).collect();
        let length = u16::try_from(list.len()).unwrap().to_be_bytes();
        let der = [&[0x30, 0x82, length[0], length[1]][..], &list].concat();
        let start = Instant::now();
        for _ in 0..30 {
            assert!(Extensions::read(&der).is_ok());
        }
        assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
        let twice = [&[0x30, 0x82, length[0], length[1]][..], &list[..8 * 7999], &list[..8]].concat();
        assert!(Extensions::read(&twice).unwrap_err().contains("there twice"));
    }
}
