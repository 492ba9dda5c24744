//! How a contact is known again on its way: its id ends in a number, and numbers follow each other.

/// Contacts whose numbers follow each other, so that a number is a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    pub(crate) first: u32,
    pub(crate) count: usize,
}

impl Numbers {
    /// The place of this number among them.
    pub(crate) fn place(self, number: u32) -> Option<usize> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        (place < self.count).then_some(place)
    }
}

/// An id of 34 characters, the last eight of which are the number; the rest is as random as a real one.
pub(crate) fn id_of(number: u32, random: [u64; 2]) -> String {
    format!("CA{:016x}{:08x}{number:08x}", random[0], random[1] >> 32)
}

/// The number in such an id, and whatever follows it.
pub(crate) fn number_of(id: &[u8]) -> Option<u32> {
    let digits = id.get(26..34)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// xorshift64*.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// One of so many places.
    pub(crate) fn place(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(count.max(1)).unwrap_or(1)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_its_number_and_a_number_its_place() {
        let id = id_of(7, [u64::MAX, u64::MAX]);
        assert_eq!((id.len(), number_of(id.as_bytes())), (34, Some(7)));
        assert_eq!(number_of(format!("{id}@client.example").as_bytes()), Some(7));
        assert_eq!(number_of(b"CA7"), None);
        let numbers = Numbers { first: 5, count: 3 };
        assert_eq!([4, 5, 7, 8].map(|number| numbers.place(number)), [None, Some(0), Some(2), None]);
    }
}
