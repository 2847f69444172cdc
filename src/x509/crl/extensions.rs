//! The extensions of a list or of an entry (RFC 5280, sections 5.2 and 5.3).

use super::unusable::Unusable;
use crate::x509::der::Reader;
use crate::x509::extensions::Extension;

/// So many may a list or an entry have; those of RFC 5280 are seven and three.
const MOST: usize = 32;

/// Gives `take` each extension of the inside of a sequence of them. None may stand there twice (section 4.2).
pub(super) fn each<'a>(
    list: &'a [u8],
    mut take: impl FnMut(Extension<'a>) -> Result<(), Unusable>,
) -> Result<(), Unusable> {
    let mut rest = Reader::new(list);
    // Not on the heap: a list has millions of entries.
    let mut seen: [&[u8]; MOST] = [&[]; MOST];
    let mut count = 0;
    while !rest.is_at_end() {
        let extension = Extension::next(&mut rest).map_err(|_| Unusable::Broken("extension"))?;
        if seen[..count].contains(&extension.id) {
            return Err(Unusable::Broken("set of extensions: one stands there twice"));
        }
        *seen.get_mut(count).ok_or(Unusable::Broken("set of extensions: more than 32"))? = extension.id;
        count += 1;
        take(extension)?;
    }
    Ok(())
}
