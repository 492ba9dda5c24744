//! Real inputs with wounds: what fuzz tests feed to a parser.
//!
//! Random bytes are refused at the first one; an input that was genuine once gets far inside. A wound is
//! plain numbers, so that a property test can draw it, make it smaller, and keep it.

/// What is done to an input: where, what, and how much of it or which word.
pub type Wound = (u32, u8, u16);

/// Whatever is done, no more bytes than this are made of an input, unless it had more.
pub const LARGEST: usize = 256 * 1024;

/// Bytes at which parsers of text turn off.
const EDGES: [u8; 12] = [0, b'\n', b'\r', b' ', b'"', b'\\', b'%', b'=', b'<', 0x7f, 0x80, 0xff];

/// The specimen with all wounds, one after the other: cut off, a piece gone, doubled or moved, a bit turned,
/// bytes written over, a word of `words` put in once or many times.
///
/// The same arguments give the same bytes. No wounds, no change.
pub fn wounded(specimen: &[u8], words: &[&[u8]], wounds: &[Wound]) -> Vec<u8> {
    let mut bytes = specimen.to_vec();
    let most = LARGEST.max(specimen.len());
    for &(at, kind, much) in wounds {
        let at = usize::try_from(at).unwrap_or(usize::MAX) % (bytes.len() + 1);
        let much = usize::from(much);
        let end = (at + much % 64).min(bytes.len());
        let word = || words.iter().cycle().nth(much % words.len().max(1)).copied().unwrap_or_default();
        match kind % 8 {
            // Rarely, because little is left to look at.
            0 if much % 4 == 0 => bytes.truncate(at),
            0 | 1 => drop(bytes.drain(at..end)),
            2 => {
                let piece: Vec<u8> = bytes.drain(at..end).collect();
                bytes.splice(at..at, piece.repeat(2 + much / 4096));
            }
            3 => {
                let piece: Vec<u8> = bytes.drain(at..end).collect();
                bytes.splice(0..0, piece);
            }
            4 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (much % 8)),
            5 => {
                let edge = EDGES.iter().cycle().nth(much % EDGES.len()).copied().unwrap_or_default();
                bytes.iter_mut().take(end).skip(at).for_each(|byte| *byte = edge);
            }
            6 => drop(bytes.splice(at..at, word().iter().copied())),
            _ => drop(bytes.splice(at..at, word().repeat(much % 512))),
        }
        bytes.truncate(most);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wound_changes_what_it_says_and_nothing_grows_over_the_bound() {
        let hurt = |wound: Wound| String::from_utf8(wounded(b"abcdef", &[b"<x>", b"--"], &[wound])).unwrap();
        assert_eq!(wounded(b"abcdef", &[], &[]), b"abcdef");
        assert_eq!(hurt((2, 0, 4)), "ab");
        assert_eq!(hurt((2, 1, 3)), "abf");
        assert_eq!(hurt((2, 2, 2)), "abcdcdef");
        assert_eq!(hurt((4, 3, 2)), "efabcd");
        assert_eq!(hurt((0, 4, 1)), "cbcdef");
        assert_eq!(hurt((1, 5, 3)), "a   ef");
        assert_eq!(hurt((3, 6, 1)), "abc--def");
        assert_eq!(hurt((6, 7, 2)), "abcdef<x><x>");
        let word = [b'x'; 4096];
        let grown = wounded(b"", &[&word], &[(0, 7, 511), (9, 7, 511), (99, 2, u16::MAX)]);
        assert_eq!(grown.len(), LARGEST);
        for kind in 0..=u8::MAX {
            wounded(b"", &[], &[(7, kind, 7), (u32::MAX, kind, u16::MAX)]);
        }
    }
}
