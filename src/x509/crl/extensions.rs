//! The extensions of a list or of an entry (RFC 5280, sections 5.2 and 5.3).

use super::unusable::Unusable;
use crate::x509::der::Reader;
use crate::x509::extensions::Extension;

/// A list or an entry may have at most this many. RFC 5280 defines seven and three.
const MOST: usize = 32;

/// Calls `take` with each extension in the content of a sequence. None may be repeated (section 4.2).
pub(super) fn each<'a>(
    list: &'a [u8],
    mut take: impl FnMut(Extension<'a>) -> Result<(), Unusable>,
) -> Result<(), Unusable> {
    let mut rest = Reader::new(list);
    // Not on the heap, because a list may have millions of entries.
    let mut seen: [&[u8]; MOST] = [&[]; MOST];
    let mut count = 0;
    while !rest.is_at_end() {
        let extension = Extension::next(&mut rest).map_err(|_| Unusable::Broken("extension"))?;
        if seen[..count].contains(&extension.id) {
            return Err(Unusable::Broken("set of extensions: one of them is repeated"));
        }
        *seen.get_mut(count).ok_or(Unusable::Broken("set of extensions: more than 32"))? = extension.id;
        count += 1;
        take(extension)?;
    }
    Ok(())
}
