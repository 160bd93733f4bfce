//! Just enough of MP4 to spoil it: boxes by their names, and numbers written over others.

/// A box.
pub(super) fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len() + 8).expect("a box of ordinary size");
    [&size.to_be_bytes()[..], kind, content].concat()
}

/// Where the letters of a box's kind stand, by their number in the file.
pub(super) fn places(bytes: &[u8], kind: &[u8; 4]) -> Vec<usize> {
    (4..bytes.len().saturating_sub(4)).filter(|at| &bytes[*at..*at + 4] == kind).collect()
}

/// Writes a number this far behind the letters of every box of a kind.
pub(super) fn overwrite(mut bytes: Vec<u8>, kind: &[u8; 4], behind: usize, value: u32) -> Option<Vec<u8>> {
    let found = places(&bytes, kind);
    for at in &found {
        bytes.get_mut(at + 4 + behind..at + 8 + behind)?.copy_from_slice(&value.to_be_bytes());
    }
    (!found.is_empty()).then_some(bytes)
}

/// Puts bytes at the end of the first box of a kind and mends its size and that of the boxes around it, as far as they are `parents`.
pub(super) fn append(bytes: &[u8], kind: &[u8; 4], parents: &[&[u8; 4]], more: &[u8]) -> Option<Vec<u8>> {
    let at = *places(bytes, kind).first()?;
    let size = |at: usize| Some(u32::from_be_bytes(bytes.get(at - 4..at)?.try_into().ok()?));
    let end = at - 4 + size(at)? as usize;
    let mut spoiled = [bytes.get(..end)?, more, &bytes[end..]].concat();
    for parent in parents.iter().chain([&kind]) {
        let at = *places(bytes, parent).first()?;
        let grown = size(at)?.checked_add(u32::try_from(more.len()).ok()?)?;
        spoiled[at - 4..at].copy_from_slice(&grown.to_be_bytes());
    }
    Some(spoiled)
}

/// The first box of a kind, whole.
pub(super) fn whole<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    let at = *places(bytes, kind).first()?;
    let size = u32::from_be_bytes(bytes.get(at - 4..at)?.try_into().ok()?) as usize;
    bytes.get(at - 4..at - 4 + size)
}
